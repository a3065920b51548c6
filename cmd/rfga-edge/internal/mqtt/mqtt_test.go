package mqtt

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	broker "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

// house is a broker with what it was sent.
type house struct {
	server *broker.Server
	addr   string

	mu   sync.Mutex
	got  map[string][]string // by topic
	news chan struct{}       // closed at the next message
}

// open starts a broker; ledger says who may come in, nil lets everybody.
func open(t *testing.T, addr string, ledger *auth.Ledger) *house {
	t.Helper()
	h := &house{got: map[string][]string{}, news: make(chan struct{})}
	h.server = broker.New(&broker.Options{InlineClient: true, Logger: slog.New(slog.DiscardHandler)})
	var err error
	if ledger == nil {
		err = h.server.AddHook(new(auth.AllowHook), nil)
	} else {
		err = h.server.AddHook(new(auth.Hook), &auth.Options{Ledger: ledger})
	}
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	h.addr = l.Addr().String()
	if err := h.server.AddListener(listeners.NewNet("tcp", l)); err != nil {
		t.Fatal(err)
	}
	if err := h.server.Serve(); err != nil {
		t.Fatal(err)
	}
	if err := h.server.Subscribe("#", 1, func(_ *broker.Client, _ packets.Subscription, p packets.Packet) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.got[p.TopicName] = append(h.got[p.TopicName], string(p.Payload))
		close(h.news)
		h.news = make(chan struct{})
	}); err != nil {
		t.Fatal(err)
	}
	return h
}

// wait waits until the newest message of a topic is payload.
func (h *house) wait(t *testing.T, topic, payload string) {
	t.Helper()
	for {
		h.mu.Lock()
		list, news := h.got[topic], h.news
		h.mu.Unlock()
		if len(list) > 0 && list[len(list)-1] == payload {
			return
		}
		select {
		case <-news:
		case <-t.Context().Done():
			t.Fatalf("%s has %q, want %q", topic, list, payload)
		}
	}
}

func (h *house) all(topic string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.got[topic]
}

func options(addr string) Options {
	return Options{Broker: &url.URL{Scheme: "mqtt", Host: addr}, Prefix: "rfga-edge", Node: "shed", Cameras: []string{"door", "yard.2"}, Discovery: "homeassistant",
		Model: "colours", Version: "1.2.3", Log: slog.New(slog.NewTextHandler(io.Discard, nil)), firstPause: 10 * time.Millisecond}
}

func start(t *testing.T, o Options) *Client {
	t.Helper()
	c, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestPublish(t *testing.T) {
	h := open(t, "127.0.0.1:0", nil)
	defer h.server.Close()
	o := options(h.addr)
	o.Snapshots = true
	c := start(t, o)
	h.wait(t, "rfga-edge/shed/status", "online")
	h.wait(t, "rfga-edge/shed/door/state", "offline")
	c.State("door", true)
	h.wait(t, "rfga-edge/shed/door/state", "online")
	c.Result("door", []byte(`{"seq":1}`))
	h.wait(t, "rfga-edge/shed/door/result", `{"seq":1}`)
	if !c.WantsSnapshot("door") {
		t.Error("no snapshot wanted")
	}
	c.Snapshot("door", []byte("\xff\xd8picture"))
	h.wait(t, "rfga-edge/shed/door/snapshot", "\xff\xd8picture")
	retained := 0 // what somebody gets who comes later
	if err := h.server.Subscribe("rfga-edge/#", 2, func(_ *broker.Client, _ packets.Subscription, p packets.Packet) { retained++ }); err != nil {
		t.Fatal(err)
	}
	if err := h.server.Unsubscribe("rfga-edge/#", 2); err != nil || retained != 5 {
		t.Errorf("%d retained messages, %v", retained, err)
	}
	c.Close()
	h.wait(t, "rfga-edge/shed/status", "offline")
	h.wait(t, "rfga-edge/shed/door/state", "offline")
	if _, sent, _ := c.Stats(); sent == 0 {
		t.Error("nothing counted")
	}
}

// TestDiscovery reads what Home Assistant reads: topics of its form, and in the payloads the topics that are published.
func TestDiscovery(t *testing.T) {
	h := open(t, "127.0.0.1:0", nil)
	defer h.server.Close()
	o := options(h.addr)
	o.Snapshots = true
	c := start(t, o)
	defer c.Close()
	h.wait(t, "rfga-edge/shed/status", "online") // the last of what it begins with
	unique := map[string]bool{}
	for topic, want := range map[string]string{
		"homeassistant/binary_sensor/rfga_edge_shed/running/config":             "rfga-edge/shed/status",
		"homeassistant/sensor/rfga_edge_shed_door/class/config":                 "rfga-edge/shed/door/result",
		"homeassistant/sensor/rfga_edge_shed_door/score/config":                 "rfga-edge/shed/door/result",
		"homeassistant/binary_sensor/rfga_edge_shed_door/connectivity/config":   "rfga-edge/shed/door/state",
		"homeassistant/camera/rfga_edge_shed_door/snapshot/config":              "rfga-edge/shed/door/snapshot",
		"homeassistant/sensor/rfga_edge_shed_yard_2/class/config":               "rfga-edge/shed/yard.2/result",
		"homeassistant/binary_sensor/rfga_edge_shed_yard_2/connectivity/config": "rfga-edge/shed/yard.2/state",
	} {
		list := h.all(topic)
		if len(list) != 1 {
			t.Errorf("%s: %q", topic, list)
			continue
		}
		var e struct {
			Topic       string `json:"topic"`
			StateTopic  string `json:"state_topic"`
			UniqueID    string `json:"unique_id"`
			DeviceClass string `json:"device_class"`
			On          string `json:"payload_on"`
			Device      struct {
				Identifiers []string
				Name        string
			}
		}
		if err := json.Unmarshal([]byte(list[0]), &e); err != nil {
			t.Fatal(err)
		}
		if e.Topic+e.StateTopic != want || e.UniqueID == "" || unique[e.UniqueID] || len(e.Device.Identifiers) != 1 || e.Device.Name == "" {
			t.Errorf("%s: %s", topic, list[0])
		}
		if unique[e.UniqueID] = true; strings.Contains(topic, "binary_sensor") && (e.DeviceClass == "" || e.On != "online") {
			t.Errorf("%s: %s", topic, list[0])
		}
	}
}

// TestLastWill breaks the connection without a farewell; the broker says what the client cannot.
func TestLastWill(t *testing.T) {
	h := open(t, "127.0.0.1:0", nil)
	defer h.server.Close()
	c := start(t, options(h.addr))
	h.wait(t, "rfga-edge/shed/status", "online")
	before := len(h.all("rfga-edge/shed/status"))
	c.manager.TerminateConnectionForTest()
	h.wait(t, "rfga-edge/shed/status", "online") // it has come back
	for len(h.all("rfga-edge/shed/status")) < before+2 {
		time.Sleep(time.Millisecond)
	}
	if list := h.all("rfga-edge/shed/status"); list[before] != "offline" || list[before+1] != "online" {
		t.Errorf("status %q", list)
	}
	c.Close()
}

// TestBrokerRestarts publishes while there is no broker. The new one, which remembers nothing, gets the newest of each topic.
func TestBrokerRestarts(t *testing.T) {
	h := open(t, "127.0.0.1:0", nil)
	c := start(t, options(h.addr))
	defer c.Close()
	h.wait(t, "rfga-edge/shed/status", "online")
	c.State("door", true)
	h.wait(t, "rfga-edge/shed/door/state", "online")
	h.server.Close()
	for up := true; up; up, _, _ = c.Stats() {
		time.Sleep(time.Millisecond)
	}
	const many = 100000
	for i := range many {
		c.Result("door", fmt.Appendf(nil, `{"seq":%d}`, i))
	}
	c.mu.Lock()
	if n := len(c.queue); n > 2 {
		t.Errorf("%d messages in the queue", n)
	}
	c.mu.Unlock()
	h = open(t, h.addr, nil)
	defer h.server.Close()
	h.wait(t, "rfga-edge/shed/door/result", fmt.Sprintf(`{"seq":%d}`, many-1))
	h.wait(t, "rfga-edge/shed/status", "online")
	h.wait(t, "rfga-edge/shed/door/state", "online")
	if list := h.all("rfga-edge/shed/door/result"); len(list) != 1 {
		t.Errorf("%d results, want the newest alone", len(list))
	}
	if _, _, dropped := c.Stats(); dropped < many-2 {
		t.Errorf("%d of %d counted as dropped", dropped, many)
	}
	if len(h.all("homeassistant/sensor/rfga_edge_shed_door/class/config")) != 1 {
		t.Error("the new broker knows nothing of the sensors")
	}
}

// TestInterval publishes faster than is wanted: in between the newest waits.
func TestInterval(t *testing.T) {
	h := open(t, "127.0.0.1:0", nil)
	defer h.server.Close()
	o := options(h.addr)
	o.Interval = time.Hour
	o.Snapshots = true
	c := start(t, o)
	h.wait(t, "rfga-edge/shed/status", "online")
	c.Result("door", []byte("first"))
	c.Snapshot("door", []byte("jpeg"))
	h.wait(t, "rfga-edge/shed/door/result", "first")
	h.wait(t, "rfga-edge/shed/door/snapshot", "jpeg")
	c.Result("door", []byte("second"))
	c.Result("door", []byte("third"))
	if c.WantsSnapshot("door") {
		t.Error("a snapshot is wanted within the interval")
	}
	c.State("yard.2", true)
	h.wait(t, "rfga-edge/shed/yard.2/state", "online") // what has no interval passes by
	if list := h.all("rfga-edge/shed/door/result"); len(list) != 1 {
		t.Errorf("results %q", list)
	}
	c.Close() // the last word is not lost
	h.wait(t, "rfga-edge/shed/door/result", "third")
}

func TestPassword(t *testing.T) {
	ledger := &auth.Ledger{Auth: auth.AuthRules{{Username: "edge", Password: "secret", Allow: true}}}
	h := open(t, "127.0.0.1:0", ledger)
	defer h.server.Close()
	o := options(h.addr)
	errors := make(chan string, 100)
	o.Log = slog.New(slog.NewTextHandler(lines(errors), nil))
	o.Broker.User = url.UserPassword("edge", "wrong-secret")
	o.User, o.Password = "edge", "wrong-secret"
	c := start(t, o)
	if text := <-errors; !strings.Contains(text, "MQTT broker") || strings.Contains(text, "wrong-secret") {
		t.Errorf("%s", text)
	}
	c.Close()
	o.User, o.Password = "edge", "secret"
	c = start(t, o)
	h.wait(t, "rfga-edge/shed/status", "online")
	c.Close()
}

type lines chan string

func (l lines) Write(p []byte) (int, error) {
	select {
	case l <- string(p):
	default:
	}
	return len(p), nil
}

// TestNoBroker closes a client that has never had a connection.
func TestNoBroker(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // it accepts, and says nothing
	c := start(t, options(l.Addr().String()))
	c.Result("door", []byte("x"))
	c.Close()
	if context.Cause(t.Context()) != nil {
		t.Error("closing took too long")
	}
}
