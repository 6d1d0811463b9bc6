package e2e

// Bodies as the original's documentation writes them.
var (
	newMira = both{
		prolog + `<user><username>mira</username><name>Mira Okafor</name><email>mira@mail.example</email><password>s3cr3t!</password><properties><property key="team" value="north"/></properties></user>`,
		`{"username":"mira","name":"Mira Okafor","email":"mira@mail.example","password":"s3cr3t!","properties":[{"key":"team","value":"north"}]}`,
	}
	newTobias = both{
		`<user><username>tobias</username><password>t0p!</password></user>`,
		`{"username":"tobias","password":"t0p!"}`,
	}
)

const (
	miraXML    = `<user><username>mira</username><name>Mira Okafor</name><email>mira@mail.example</email><properties><property key="team" value="north"/></properties></user>`
	miraJSON   = `{"username":"mira","name":"Mira Okafor","email":"mira@mail.example","properties":[{"key":"team","value":"north"}]}`
	tobiasXML  = `<user><username>tobias</username><name></name><properties/></user>`
	tobiasJSON = `{"username":"tobias","name":"","properties":[]}`
)

var (
	oneMira   = both{"<users>" + miraXML + "</users>", `{"users":[` + miraJSON + `]}`}
	oneTobias = both{"<users>" + tobiasXML + "</users>", `{"users":[` + tobiasJSON + `]}`}
	allUsers  = both{"<users>" + miraXML + tobiasXML + "</users>", `{"users":[` + miraJSON + "," + tobiasJSON + `]}`}
	noUsers   = both{"<users/>", `{"users":[]}`}

	noSuchUser = failure("UserNotFoundException", "Could not get user", "nobody7")
	noSuchName = failure("IllegalArgumentException", "…", "mi ra")
)

func (c *contract) users() {
	c.inBoth("creates, shows, lists, changes and deletes users", func(f format) {
		c.run(f,
			row{"GET", "/users", none, 200, noUsers},
			row{"POST", "/users", none, 400, failure("IllegalArgumentException", "Could not create new user", "users")},
			row{"POST", "/users", both{`<user><username></username><password>x</password></user>`, `{"username":"","password":"x"}`}, 400,
				failure("IllegalArgumentException", "Could not create new user", "users")},
			row{"POST", "/users", both{`<user><password>x</password></user>`, `{"password":"x"}`}, 400,
				failure("IllegalArgumentException", "Could not create new user, because username is missing", "users")},
			row{"POST", "/users", both{`<user><username>mira</username></user>`, `{"username":"mira"}`}, 400,
				failure("PasswordIsNull", "Could not create new user, because password is null", "mira")},
			row{"POST", "/users", both{`<user><username>mi ra</username><password>x</password></user>`, `{"username":"mi ra","password":"x"}`}, 400, noSuchName},
			row{"POST", "/users", both{`<user><username>mira</username><password></password></user>`, `{"username":"mira","password":""}`}, 400,
				failure("IllegalArgumentException", "…", "mira")},
			row{"POST", "/users", newMira, 201, none},
			row{"POST", "/users", newMira, 409, failure("UserAlreadyExistsException", "Could not create new user", "mira")},
			row{"POST", "/users/", newTobias, 201, none},

			row{"GET", "/users/mira", none, 200, both{miraXML, miraJSON}},
			row{"HEAD", "/users/mira", none, 200, both{miraXML, miraJSON}},
			row{"GET", "/users/MIRA", none, 200, both{miraXML, miraJSON}},
			row{"GET", "/users/mira@chat.example", none, 200, both{miraXML, miraJSON}},
			row{"GET", "/users/mira%40chat.example/", none, 200, both{miraXML, miraJSON}},
			row{"GET", "/users/nobody7", none, 404, noSuchUser},
			row{"GET", "/users/mi%20ra", none, 404, failure("UserNotFoundException", "Could not get user", "mi ra")},

			row{"GET", "/users", none, 200, allUsers},
			row{"GET", "/users/", none, 200, allUsers},
			row{"GET", "/users?search=", none, 200, allUsers},
			row{"GET", "/users?search=BIA", none, 200, oneTobias},
			row{"GET", "/users?search=nothing", none, 200, noUsers},
			row{"GET", "/users?propertyKey=team&search=tobias", none, 200, oneMira},
			row{"GET", "/users?propertyKey=team&propertyValue=north", none, 200, oneMira},
			row{"GET", "/users?propertyKey=team&propertyValue=south", none, 200, noUsers},
			row{"GET", "/users?propertyValue=south", none, 200, allUsers},
			row{"GET", "/users?offset=1&limit=1", none, 200, oneTobias},
			row{"GET", "/users?limit=many", none, 400, failure("IllegalArgumentException", "…", "limit")},
		)

		// Absent fields stay, properties are replaced as a whole.
		c.run(f,
			row{"PUT", "/users/tobias", both{
				`<user><name>Tobias Lind</name><properties><property key="desk" value="12"/></properties></user>`,
				`{"name":"Tobias Lind","properties":[{"key":"desk","value":"12"}]}`}, 200, none},
			row{"GET", "/users/tobias", none, 200, both{
				`<user><username>tobias</username><name>Tobias Lind</name><properties><property key="desk" value="12"/></properties></user>`,
				`{"username":"tobias","name":"Tobias Lind","properties":[{"key":"desk","value":"12"}]}`}},
			row{"PUT", "/users/tobias", both{`<user><username>Tobias</username><email>t@mail.example</email></user>`, `{"username":"Tobias","email":"t@mail.example"}`}, 200, none},
			row{"GET", "/users/tobias", none, 200, both{
				`<user><username>tobias</username><name>Tobias Lind</name><email>t@mail.example</email><properties/></user>`,
				`{"username":"tobias","name":"Tobias Lind","email":"t@mail.example","properties":[]}`}},
			row{"PUT", "/users/tobias", both{`<user><name> </name><email></email></user>`, `{"name":" ","email":""}`}, 200, none},
			row{"GET", "/users/tobias", none, 200, both{tobiasXML, tobiasJSON}},
			row{"PUT", "/users/tobias", none, 200, none},
			row{"PUT", "/users/nobody7", both{`<user><name>No</name></user>`, `{"name":"No"}`}, 404, noSuchUser},
			row{"PUT", "/users/mi%20ra", both{`<user><name>No</name></user>`, `{"name":"No"}`}, 400, noSuchName},
			row{"PUT", "/users/nobody7", both{`<user><username>somebody</username></user>`, `{"username":"somebody"}`}, 404,
				failure("UserNotFoundException", "Could not find user", "nobody7")},
			row{"PUT", "/users/tobias", both{`<user><username>mira</username></user>`, `{"username":"mira"}`}, 409,
				failure("UserAlreadyExistsException", "Could not create new user", "mira")},
			row{"PUT", "/users/tobias", both{
				`<user><username>toby</username><name>Toby</name></user>`, `{"username":"toby","name":"Toby"}`}, 200, none},
			row{"GET", "/users/tobias", none, 404, failure("UserNotFoundException", "Could not get user", "tobias")},
			row{"GET", "/users/toby", none, 200, both{`<user><username>toby</username><name>Toby</name><properties/></user>`, `{"username":"toby","name":"Toby","properties":[]}`}},

			row{"DELETE", "/users/toby", none, 200, none},
			row{"DELETE", "/users/toby", none, 404, failure("UserNotFoundException", "Could not get user", "toby")},
			row{"DELETE", "/users/mi%20ra", none, 400, noSuchName},
			row{"DELETE", "/users/mira", none, 200, none},
			row{"GET", "/users", none, 200, noUsers},
		)
	})

	c.inBoth("creates a list of users whole or not at all", func(f format) {
		c.run(f,
			row{"POST", "/users", both{
				`<users><user><username>tobias</username><password>t0p!</password></user><user><username>mira</username><password>x</password></user></users>`,
				`{"users":[{"username":"tobias","password":"t0p!"},{"username":"mira","password":"x"}]}`}, 201, none},
			row{"POST", "/users", both{
				`<users><user><username>ines</username><password>x</password></user><user><username>mira</username><password>x</password></user></users>`,
				`{"users":[{"username":"ines","password":"x"},{"username":"mira","password":"x"}]}`}, 409,
				failure("UserAlreadyExistsException", "Could not create new user", "mira")},
			row{"POST", "/users", both{
				`<users><user><username>ines</username><password>x</password></user><user><username>otto</username></user></users>`,
				`{"users":[{"username":"ines","password":"x"},{"username":"otto"}]}`}, 400,
				failure("PasswordIsNull", "Could not create new user, because password is null", "otto")},
			row{"GET", "/users", none, 200, both{
				"<users><user><username>mira</username><name></name><properties/></user>" + tobiasXML + "</users>",
				`{"users":[{"username":"mira","name":"","properties":[]},` + tobiasJSON + `]}`}},
			row{"POST", "/users", both{`<users/>`, `{"users":[]}`}, 400, failure("IllegalArgumentException", "Could not create new user", "users")},
		)
	})

	c.inBoth("locks users out, and lets them in again", func(f format) {
		locked := func(name, flag string) both {
			return both{"<lockout><username>" + name + "</username><locked>" + flag + "</locked></lockout>", `{"username":"` + name + `","locked":` + flag + `}`}
		}
		c.run(f,
			row{"POST", "/users", newMira, 201, none},
			row{"GET", "/lockouts", none, 200, both{"<lockouts/>", `{"lockouts":[]}`}},
			row{"GET", "/lockouts/mira", none, 200, locked("mira", "false")},
			row{"DELETE", "/lockouts/mira", none, 200, none},
			row{"POST", "/lockouts/Mira", none, 201, none},
			row{"POST", "/lockouts/mira", both{"", `[]`}, 201, none},
			row{"GET", "/lockouts/mira", none, 200, locked("mira", "true")},
			row{"GET", "/lockouts", none, 200, both{"<lockouts>" + locked("mira", "true").xml + "</lockouts>", `{"lockouts":[` + locked("mira", "true").json + `]}`}},
			row{"DELETE", "/lockouts/mira", none, 200, none},
			row{"GET", "/lockouts/mira", none, 200, locked("mira", "false")},
			row{"GET", "/lockouts/nobody7", none, 404, noSuchUser},
			row{"POST", "/lockouts/nobody7", none, 404, noSuchUser},
			row{"DELETE", "/lockouts/nobody7", none, 404, noSuchUser},
			row{"POST", "/lockouts/mi%20ra", none, 400, noSuchName},
			row{"DELETE", "/lockouts/mi%20ra", none, 400, noSuchName},
		)
	})
}
