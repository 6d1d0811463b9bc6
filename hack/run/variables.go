package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// variable is one of the Makefile's that `make run` goes by, and takes few values.
type variable struct {
	name    string
	values  []string
	allowed string // the values, as people are told
}

var variables = []variable{
	{"CLUSTER", []string{"local", "current"}, "local, which starts a control plane, or current, which uses that of KUBECONFIG"},
	{"SAMPLES", []string{"true", "false"}, "true or false"},
	{"OPERATOR", []string{"true", "false"}, "true or false, which starts the control plane alone"},
	{"PORTS", []string{"free", ""}, "free, which finds free ports; without it they are those of the Makefile"},
}

// checkVariables names each variable whose value is none of those it takes. make itself takes any.
func checkVariables(given []string) error {
	var errs []error
	for _, one := range given {
		name, value, _ := strings.Cut(one, "=")
		at := slices.IndexFunc(variables, func(v variable) bool { return v.name == name })
		if at < 0 {
			return fmt.Errorf("%s is no variable that is checked", name)
		}
		if v := variables[at]; !slices.Contains(v.values, value) {
			errs = append(errs, fmt.Errorf("%s=%s is not understood: %s is %s", name, value, name, v.allowed))
		}
	}
	return errors.Join(errs...)
}
