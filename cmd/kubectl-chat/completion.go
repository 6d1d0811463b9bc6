package main

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// completionTimeout is how long somebody waits who pressed the tabulator.
const completionTimeout = 3 * time.Second

// complete offers what the cluster has, and nothing when it cannot be asked.
func (o *options) complete(cmd *cobra.Command, list func(context.Context, *kubernetes) []string) ([]string, cobra.ShellCompDirective) {
	k, err := o.kubernetes()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
	defer cancel()
	return list(ctx, k), cobra.ShellCompDirectiveNoFileComp
}

// completeUsers completes up to as many usernames, or any number when that is negative.
func (o *options) completeUsers(most int) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if most >= 0 && len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return o.complete(cmd, func(ctx context.Context, k *kubernetes) []string {
			users, err := k.users(ctx, "")
			if err != nil {
				return nil
			}
			var names []string
			for _, u := range users {
				if !slices.Contains(args, u.Username) {
					names = append(names, cobra.CompletionWithDesc(show(u.Username), show(u.Name)))
				}
			}
			return names
		})
	}
}

func (o *options) completeRooms(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return o.complete(cmd, func(ctx context.Context, k *kubernetes) []string {
		rooms, err := k.rooms(ctx, "")
		if err != nil {
			return nil
		}
		var names []string
		for _, r := range rooms {
			if !slices.Contains(args, r.identity()) {
				names = append(names, cobra.CompletionWithDesc(show(r.identity()), show(r.Name)))
			}
		}
		return names
	})
}

// completeFlags completes what flags of kubectl name.
func (o *options) completeFlags(root *cobra.Command) {
	_ = root.RegisterFlagCompletionFunc("auth", cobra.FixedCompletions([]string{authSecret, authToken}, cobra.ShellCompDirectiveNoFileComp))
	_ = root.RegisterFlagCompletionFunc("namespace", func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return o.complete(cmd, func(ctx context.Context, k *kubernetes) []string {
			list, err := k.core.Namespaces().List(ctx, metav1.ListOptions{})
			if err != nil {
				return nil
			}
			names := make([]string, len(list.Items))
			for i := range list.Items {
				names[i] = list.Items[i].Name
			}
			return names
		})
	})
	_ = root.RegisterFlagCompletionFunc("context", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		config, err := o.kube.ToRawKubeConfigLoader().RawConfig()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []string
		for name := range config.Contexts {
			names = append(names, name)
		}
		slices.Sort(names)
		return names, cobra.ShellCompDirectiveNoFileComp
	})
}
