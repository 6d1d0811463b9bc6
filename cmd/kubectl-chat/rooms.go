package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
)

// atOnce is how many calls are under way at a time.
const atOnce = 8

// room is a chat room: declared, or made by a client for as long as somebody is in it.
type room struct {
	Room        string `json:"room"`
	Service     string `json:"service"`
	Name        string `json:"name,omitempty"`
	MembersOnly bool   `json:"membersOnly"`
	Persistent  bool   `json:"persistent"`
	// Resource is empty for a room that a client made.
	Resource string `json:"resource,omitempty"`
	// Ready is True, False or Unknown, and empty for a room that a client made.
	Ready   string `json:"ready,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
	// Occupants is left out when the server could not be asked.
	Occupants *int      `json:"occupants,omitempty"`
	CreatedAt time.Time `json:"createdAt"`
}

func (r room) identity() string { return v1alpha1.RoomIdentity(r.Room, r.Service) }

func byIdentity(a, b room) int {
	return cmp.Or(cmp.Compare(a.Room, b.Room), cmp.Compare(a.Service, b.Service), a.CreatedAt.Compare(b.CreatedAt))
}

// rooms are the declared rooms of the namespace.
func (k *kubernetes) rooms(ctx context.Context, selector string) ([]room, error) {
	var list v1alpha1.ChatRoomList
	if err := k.list(ctx, "chatrooms", selector, &list); err != nil {
		return nil, err
	}
	rooms := make([]room, len(list.Items))
	for i := range list.Items {
		r := &list.Items[i]
		rooms[i] = room{
			Room: r.EffectiveRoomName(), Service: r.EffectiveService(), Name: value(r.Spec.DisplayName), Resource: r.Name,
			MembersOnly: value(r.Spec.MembersOnly), Persistent: r.Spec.Persistent == nil || *r.Spec.Persistent, CreatedAt: r.CreationTimestamp.Time,
		}
		if at := r.Status.CreatedAt; at != nil {
			rooms[i].CreatedAt = at.Time
		}
		rooms[i].Ready, rooms[i].Reason, rooms[i].Message, _ = readiness(r.Status.Conditions)
	}
	return rooms, nil
}

// roomsAtOnce are so few that a caller whose right to change them has to be looked up room by room may see them.
const roomsAtOnce = 200

// roomsOf are the rooms of one service.
func (s *chatServer) roomsOf(ctx context.Context, service string) (rooms []room, err error) {
	for {
		var answer struct {
			Rooms []struct {
				RoomName     string `json:"roomName"`
				NaturalName  string `json:"naturalName"`
				Persistent   bool   `json:"persistent"`
				MembersOnly  bool   `json:"membersOnly"`
				CreationDate moment `json:"creationDate"`
			} `json:"chatRooms"`
		}
		err := s.get(ctx, path("chatrooms"), url.Values{
			"servicename": {service}, "type": {"all"}, "limit": {strconv.Itoa(roomsAtOnce)}, "offset": {strconv.Itoa(len(rooms))},
		}, &answer)
		if err != nil {
			return nil, err
		}
		for _, r := range answer.Rooms {
			rooms = append(rooms, room{
				Room: r.RoomName, Service: service, Name: r.NaturalName, MembersOnly: r.MembersOnly, Persistent: r.Persistent, CreatedAt: r.CreationDate.time(),
			})
		}
		if len(answer.Rooms) < roomsAtOnce {
			return rooms, nil
		}
	}
}

// liveRooms are the rooms of all services as the server has them, without who is in them.
func (s *chatServer) liveRooms(ctx context.Context) ([]room, error) {
	var services struct {
		List []struct {
			Name string `json:"serviceName"`
		} `json:"chatService"`
	}
	if err := s.get(ctx, path("chatservices"), nil, &services); err != nil {
		return nil, err
	}
	var rooms []room
	for _, service := range services.List {
		of, err := s.roomsOf(ctx, service.Name)
		if isRefusal(err, http.StatusNotFound) {
			continue // its property was deleted in the meantime
		}
		if err != nil {
			return nil, err
		}
		rooms = append(rooms, of...)
	}
	return rooms, nil
}

// occupant is somebody in a room.
type occupant struct {
	JID         string `json:"jid"`
	UserAddress string `json:"userAddress"`
	Role        string `json:"role"`
	Affiliation string `json:"affiliation"`
}

func (s *chatServer) occupants(ctx context.Context, r room) ([]occupant, error) {
	var answer struct {
		Occupants []occupant `json:"occupants"`
	}
	err := s.get(ctx, path("chatrooms", r.Room, "occupants"), url.Values{"servicename": {r.Service}}, &answer)
	return answer.Occupants, err
}

// countOccupants asks for the rooms, several at a time.
func (s *chatServer) countOccupants(ctx context.Context, rooms []room) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan *room)
	var group sync.WaitGroup
	for range min(atOnce, len(rooms)) {
		group.Go(func() {
			for r := range next {
				list, err := s.occupants(ctx, *r)
				switch n := len(list); {
				case err == nil:
					r.Occupants = &n
				case isRefusal(err, http.StatusNotFound): // gone in the meantime, or not in force
				default:
					cancel(err)
				}
			}
		})
	}
	for i := range rooms {
		if ctx.Err() != nil {
			break
		}
		next <- &rooms[i]
	}
	close(next)
	group.Wait()
	return context.Cause(ctx)
}

func newRooms(o *options) *cobra.Command {
	var out output
	var selector string
	cmd := &cobra.Command{
		Use:     "rooms [ROOM[@SERVICE]...]",
		Aliases: []string{"room"},
		Short:   "List chat rooms, and how many are in them",
		Example: "  kubectl chat rooms\n  kubectl chat rooms lobby workbench@workshop",
		RunE: func(cmd *cobra.Command, names []string) error {
			if err := out.check(); err != nil {
				return err
			}
			ctx := cmd.Context()
			k, err := o.kubernetes()
			if err != nil {
				return err
			}
			list, err := k.rooms(ctx, selector)
			if err != nil {
				return err
			}
			if out.format != formatName {
				list = o.addOccupants(ctx, k, list, names, selector != "")
			}
			slices.SortFunc(list, byIdentity)
			if list, err = named(list, identities(names), "room", room.identity); err != nil {
				return err
			}
			if len(list) == 0 && out.forPeople() {
				fmt.Fprintf(o.ErrOut, "No rooms in namespace %s.\n", k.namespace)
			}
			return out.print(o.Out, out.listRooms(list))
		},
		ValidArgsFunction: o.completeRooms,
	}
	cmd.Flags().StringVarP(&selector, "selector", "l", "", "Only ChatRooms with these labels, such as team=night")
	out.addFlags(cmd, o)
	return cmd
}

// addOccupants adds the rooms that clients made, unless only declared ones are wanted, and counts who is in each that was asked for.
func (o *options) addOccupants(ctx context.Context, k *kubernetes, declared []room, names []string, declaredOnly bool) []room {
	const trouble = "who is in the rooms is unknown"
	s, err := o.connect(ctx, k)
	if err != nil {
		o.warn(trouble, err)
		return declared
	}
	defer s.close()
	live, err := s.liveRooms(ctx)
	if err != nil {
		o.warn(trouble, err)
		return declared
	}
	known := map[string]bool{}
	for _, r := range declared {
		known[r.identity()] = true
	}
	list := slices.Clone(declared)
	for _, r := range live {
		if !declaredOnly && !known[r.identity()] {
			list = append(list, r)
		}
	}
	if wanted := identities(names); len(wanted) > 0 {
		list = slices.DeleteFunc(list, func(r room) bool { return !slices.Contains(wanted, r.identity()) })
	}
	if err := s.countOccupants(ctx, list); err != nil {
		o.warn(trouble, err)
	}
	return list
}

// identities are rooms as people name them: ROOM, ROOM@SERVICE, or the whole address.
func identities(names []string) []string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = v1alpha1.RoomIdentity(splitRoom(name))
	}
	return list
}

func splitRoom(name string) (room, service string) {
	room, host, _ := strings.Cut(name, "@")
	service, _, _ = strings.Cut(host, ".")
	return room, cmp.Or(service, v1alpha1.DefaultRoomService)
}

func (p *output) listRooms(list []room) *listing {
	l := &listing{table: table{heads: []string{"ROOM", "SERVICE", "OCCUPANTS", "MEMBERS-ONLY", "PERSISTENT", "READY", "AGE", "+NAME", "+REASON"}}, items: list}
	if list == nil {
		l.items = []room{}
	}
	for _, r := range list {
		occupants, ready := unknown, cmp.Or(r.Ready, "-")
		if r.Occupants != nil {
			occupants = strconv.Itoa(*r.Occupants)
		}
		if r.Resource != "" {
			l.names = append(l.names, "chatroom."+v1alpha1.Group+"/"+r.Resource)
		}
		l.rows = append(l.rows, []string{
			r.Room, r.Service, occupants, yesNo(r.MembersOnly), yesNo(r.Persistent), ready, p.age(r.CreatedAt), r.Name, r.Reason,
		})
	}
	return l
}
