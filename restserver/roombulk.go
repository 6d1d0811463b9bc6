package restserver

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/chat-operator/chat-operator/restserver/entity"
)

const (
	roomCreated = "Room was successfully created"
	roomExisted = "Room already existed and therefore not created again"
	// bulkAtOnce is how many rooms of one bulk are created at a time: a creation is hardly more than waiting for the API server.
	bulkAtOnce = 16
	// maxBulk is how many rooms one call creates while its caller waits.
	maxBulk = 1000
)

// createRooms is POST /chatrooms/bulk: what became of each room is told, and one that fails does not keep the others from being created.
func createRooms(c *call) (answer, error) {
	const resource = "chatrooms"
	if c.body == nil {
		return answer{}, badRequest("the body has to be a list of rooms, called chatRooms", resource)
	}
	rooms, present, err := c.body.ChatRooms()
	switch {
	case err != nil:
		return answer{}, explain(err, refusal{resource: resource})
	case !present:
		return answer{}, badRequest("the body has no list of rooms, called chatRooms", resource)
	}
	if len(rooms) > maxBulk {
		return answer{}, badRequest(fmt.Sprintf("a list takes at most %d rooms, this one has %d: send them in parts", maxBulk, len(rooms)), resource)
	}
	if len(rooms) > 0 {
		if err := c.ensureChatService(c.serviceName()); err != nil {
			return answer{}, err
		}
	}
	results, deeds := make(entity.RoomResults, len(rooms)), make([]deed, len(rooms))
	var workers sync.WaitGroup
	// Once nothing can be changed, the rest is not tried.
	var away atomic.Pointer[failure]
	queue := make(chan []int)
	for range min(bulkAtOnce, len(rooms)) {
		workers.Go(func() {
			for turn := range queue {
				for _, i := range turn {
					results[i], deeds[i] = c.bulkRoom(rooms[i], &away)
				}
			}
		})
	}
	for _, turn := range byName(rooms) {
		queue <- turn
	}
	close(queue)
	workers.Wait()
	done := filter(deeds, func(d deed) bool { return d.summary != "" })
	if len(done) > 0 {
		c.recordAll(done)
	} else if f := away.Load(); f != nil {
		return answer{}, f
	}
	return ok(results)
}

// byName gives the places of rooms: those of one name together, since the first of them is the one that is created.
func byName(rooms []entity.ChatRoom) [][]int {
	places := make(map[string]int, len(rooms))
	var turns [][]int
	for i := range rooms {
		name, valid := roomName(rooms[i].RoomName)
		if at, again := places[name]; again && valid {
			turns[at] = append(turns[at], i)
			continue
		}
		places[name] = len(turns)
		turns = append(turns, []int{i})
	}
	return turns
}

func (c *call) bulkRoom(e entity.ChatRoom, away *atomic.Pointer[failure]) (result entity.RoomResult, d deed) {
	result = entity.RoomResult{RoomName: e.RoomName, Message: roomCreated}
	defer func() {
		// A fault of this program must not end the sessions of everybody, here neither.
		if trouble := recover(); trouble != nil {
			c.server.Log.Error("creating a room of a bulk failed", "room", e.RoomName, "error", trouble, "stack", string(debug.Stack()))
			result.Failed, result.Message = true, "Room creation failed: the server's log says why"
		}
	}()
	var err error
	if f := away.Load(); f != nil {
		err = f
	} else {
		d, err = c.makeRoom(e, couldNotCreateRoom)
	}
	f, failed := errors.AsType[*failure](err)
	tried := !failed || away.Load() != f
	if failed && f.status == http.StatusServiceUnavailable {
		away.CompareAndSwap(nil, f)
	}
	switch {
	case err == nil:
	case failed && f.exception == alreadyExists:
		result.Message = roomExisted
	case failed:
		result.Failed = true
		result.Message = "Room creation failed because of " + f.exception + ": " + f.message
		if tried && f.cause != nil {
			c.server.Log.Warn("a room of a bulk was not created", "room", e.RoomName, "service", c.serviceName(), "error", f.cause.Error())
		}
	default:
		result.Failed, result.Message = true, "Room creation failed because of "+illegalArgument+": "+err.Error()
	}
	return result, d
}
