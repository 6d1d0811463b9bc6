package restserver

import (
	"github.com/chat-operator/chat-operator/restserver/entity"
	"github.com/chat-operator/chat-operator/xmpp/directory"
)

// listLockouts is GET /lockouts: the accounts that are locked.
func listLockouts(c *call) (answer, error) {
	locked := filter(c.server.Directory.Users(), func(u *directory.User) bool { return u.Locked })
	return listOf(c, locked, func(part []*directory.User) entity.Entity {
		list := make(entity.Lockouts, len(part))
		for i, u := range part {
			list[i] = entity.Lockout{Username: u.Username, Locked: true}
		}
		return list
	})
}

// getLockout is GET /lockouts/{username}.
func getLockout(c *call) (answer, error) {
	u, err := c.user()
	if err != nil {
		return answer{}, err
	}
	return ok(entity.Lockout{Username: u.Username, Locked: u.Locked})
}

// lockUser is POST /lockouts/{username}. That the sessions end is the core's affair: it does so
// however an account comes to be locked.
func lockUser(c *call) (answer, error) {
	if err := setLocked(c, true, "locked out user "); err != nil {
		return answer{}, err
	}
	return created()
}

// unlockUser is DELETE /lockouts/{username}, also for an account that isn't locked.
func unlockUser(c *call) (answer, error) {
	if err := setLocked(c, false, "unlocked user "); err != nil {
		return answer{}, err
	}
	return done()
}

func setLocked(c *call, locked bool, summary string) error {
	u, err := c.user()
	if err != nil {
		return err
	}
	return c.changeUser(u.Username, directory.UserUpdate{Locked: &locked}, summary)
}
