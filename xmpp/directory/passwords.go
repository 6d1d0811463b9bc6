package directory

// Passwords reads the password in a Secret. Without one, ok is false. It must be quick, and is asked by readers of the directory as well as
// by its watchers.
type Passwords func(secret SecretKey) (password string, ok bool)

// UsePasswords says where passwords of rooms are to be had: the directory itself keeps of a Secret only whether it changed. It is called before
// the first reader comes; without it, no room has its password.
func (d *Directory) UsePasswords(read Passwords) { d.passwords = read }

// RoomPassword gives the password that a room asks for, empty where it asks for none. It is false when the room's Secret isn't there or cannot
// be used: nobody knows the password then.
func (d *Directory) RoomPassword(r *Room) (password string, ok bool) {
	if r.PasswordSecret == nil {
		return "", true
	}
	if d.passwords == nil {
		return "", false
	}
	password, ok = d.passwords(*r.PasswordSecret)
	return password, ok && password != ""
}

// secretNames has for each Secret who names it.
type secretNames map[string][]string

func (n secretNames) link(secret, identity string) {
	if secret != "" {
		n[secret] = append(n[secret], identity)
	}
}

func (n secretNames) unlink(secret, identity string) {
	list := n[secret]
	for i, have := range list {
		if have != identity {
			continue
		}
		if list[i] = list[len(list)-1]; len(list) == 1 {
			delete(n, secret)
		} else {
			n[secret] = list[:len(list)-1]
		}
		return
	}
}

// roomChanged keeps the join with Secrets, and tells the watchers.
func (d *Directory) roomChanged(old, next *Room) {
	var before, after string
	if old != nil && old.PasswordSecret != nil {
		before = old.PasswordSecret.Name
	}
	if next != nil && next.PasswordSecret != nil {
		after = next.PasswordSecret.Name
	}
	if before != after {
		if before != "" {
			d.secretRooms.unlink(before, old.Identity())
		}
		if after != "" {
			d.secretRooms.link(after, next.Identity())
		}
	}
	d.watchers.tell(event(KindRoom, old, next, false))
}
