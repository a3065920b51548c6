package mqtt

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
)

// Options says where to publish what.
type Options struct {
	Broker         *url.URL // mqtt, mqtts, ws or wss; user and password in it are not used
	User, Password string
	TLS            *tls.Config // of mqtts and wss
	Prefix         string      // of topics
	Node           string      // this process's name: letters, digits, '_' and '-'
	Cameras        []string    // likewise
	Snapshots      bool
	// Interval is the least time between two results, and two snapshots, of a camera.
	Interval time.Duration
	// Discovery is Home Assistant's prefix for discovery; empty: none.
	Discovery      string
	Model, Version string // for Home Assistant to show
	Log            *slog.Logger

	firstPause time.Duration // before the second attempt to connect; 0 stands for a second
}

const (
	keepAlive   = 30 // seconds
	lastPause   = 30 * time.Second
	publishTime = 10 * time.Second // for a message, acknowledgement included
	closeTime   = 3 * time.Second  // for what is left at the end

	online  = "online"
	offline = "offline"
)

// Client publishes. Its methods do not wait for the broker.
type Client struct {
	o       Options
	manager *autopaho.ConnectionManager
	cancel  context.CancelFunc
	signal  chan struct{} // there is something to do
	ended   chan struct{} // the sender has returned

	mu       sync.Mutex
	up       bool
	link     context.Context // done when the connection is lost
	unlink   context.CancelFunc
	closing  bool
	topics   map[string]*message
	standing []*message // what is sent after every connection, in this order
	queue    []*message // what is to be sent, the oldest first; a topic is in it once
	dropped  uint64
	sent     uint64
}

// message is the newest of a topic.
type message struct {
	topic   string
	payload []byte // to be sent
	sending []byte // being sent, or sent
	qos     byte
	every   time.Duration
	last    time.Time // when one was sent
	queued  bool
}

// Start connects in the background, and again whenever the connection is lost.
func Start(o Options) (*Client, error) {
	ctx, cancel := context.WithCancel(context.Background())
	c := &Client{o: o, cancel: cancel, signal: make(chan struct{}, 1), ended: make(chan struct{}), topics: map[string]*message{}}
	if o.Discovery != "" {
		for topic, payload := range c.discovery() {
			c.stand(topic, payload)
		}
	}
	for _, name := range o.Cameras {
		c.stand(c.topic(name, "state"), []byte(offline))
	}
	c.stand(c.status(), []byte(online))

	pause := o.firstPause
	if pause == 0 {
		pause = time.Second
	}
	broker := *o.Broker
	broker.User = nil // it would appear in errors
	config := autopaho.ClientConfig{
		ServerUrls: []*url.URL{&broker}, TlsCfg: o.TLS, KeepAlive: keepAlive, CleanStartOnInitialConnection: true,
		ConnectUsername: o.User, ConnectPassword: []byte(o.Password),
		WillMessage:      &paho.WillMessage{Topic: c.status(), Payload: []byte(offline), QoS: 1, Retain: true},
		ReconnectBackoff: backoff(pause),
		OnConnectionUp:   func(*autopaho.ConnectionManager, *paho.Connack) { c.connected(ctx) },
		OnConnectionDown: func() bool {
			c.o.Log.Warn("connection to the MQTT broker lost", "broker", broker.Host)
			c.mu.Lock()
			c.up = false
			c.unlink() // an acknowledgement that is waited for will not come
			c.mu.Unlock()
			return true
		},
		OnConnectError: func(err error) { c.o.Log.Warn("no connection to the MQTT broker", "error", err) },
		ClientConfig:   paho.ClientConfig{ClientID: "rfga-edge-" + o.Node + "-" + rand.Text()[:6]},
	}
	var err error
	if c.manager, err = autopaho.NewConnection(ctx, config); err != nil {
		cancel()
		return nil, err
	}
	go func() {
		defer close(c.ended)
		c.send(ctx)
	}()
	return c, nil
}

// backoff doubles the pause from one attempt to the next.
func backoff(first time.Duration) func(int) time.Duration {
	return func(attempt int) time.Duration {
		if attempt == 0 {
			return 0
		}
		return min(first<<min(attempt-1, 10), lastPause)
	}
}

func (c *Client) status() string { return c.o.Prefix + "/" + c.o.Node + "/status" }

func (c *Client) topic(camera, what string) string {
	return strings.Join([]string{c.o.Prefix, c.o.Node, camera, what}, "/")
}

// connected puts what the broker must know before anything else.
func (c *Client) connected(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.up = true
	c.link, c.unlink = context.WithCancel(ctx)
	rest := slices.DeleteFunc(slices.Clone(c.queue), func(m *message) bool { return slices.Contains(c.standing, m) })
	c.queue = append(slices.Clone(c.standing), rest...)
	for _, m := range c.standing {
		if !m.queued {
			m.payload = append(m.payload[:0], m.sending...)
			m.queued = true
		}
	}
	c.wake()
}

func (c *Client) wake() {
	select {
	case c.signal <- struct{}{}:
	default:
	}
}

// stand notes a message that is sent after every connection.
func (c *Client) stand(topic string, payload []byte) {
	m := &message{topic: topic, sending: payload, qos: 1}
	c.topics[topic] = m
	c.standing = append(c.standing, m)
}

// put makes payload the newest of a topic; it is copied.
func (c *Client) put(topic string, payload []byte, every time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.topics[topic]
	if m == nil {
		m = &message{topic: topic, every: every}
		c.topics[topic] = m
	}
	m.payload = append(m.payload[:0], payload...)
	if m.queued {
		c.dropped++
		return
	}
	m.queued = true
	c.queue = append(c.queue, m)
	c.wake()
}

// Result publishes an answer of a camera.
func (c *Client) Result(camera string, line []byte) {
	c.put(c.topic(camera, "result"), line, c.o.Interval)
}

// WantsSnapshot tells whether a snapshot of a camera would be sent soon, so that nobody encodes one in vain.
func (c *Client) WantsSnapshot(camera string) bool {
	if !c.o.Snapshots {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.topics[c.topic(camera, "snapshot")]
	return c.up && (m == nil || !m.queued && time.Since(m.last) >= m.every)
}

// Snapshot publishes a JPEG of a camera.
func (c *Client) Snapshot(camera string, jpeg []byte) {
	c.put(c.topic(camera, "snapshot"), jpeg, c.o.Interval)
}

// State publishes whether a camera gives frames.
func (c *Client) State(camera string, up bool) {
	text := offline
	if up {
		text = online
	}
	c.put(c.topic(camera, "state"), []byte(text), 0)
}

// Stats tells whether the client is connected, and how many messages it has sent and replaced by newer ones.
func (c *Client) Stats() (up bool, sent, dropped uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.up, c.sent, c.dropped
}

// Close says that the process and its cameras are offline and disconnects.
func (c *Client) Close() {
	for _, name := range c.o.Cameras {
		c.State(name, false)
	}
	c.put(c.status(), []byte(offline), 0)
	c.mu.Lock()
	c.closing = true
	c.wake()
	c.mu.Unlock()
	patience, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	select {
	case <-c.ended:
		c.manager.Disconnect(patience)
	case <-patience.Done(): // the broker will find the connection dead and publish the last will
	}
	c.cancel()
	<-c.ended
}

// send publishes what is in the queue, as long as there is a connection.
func (c *Client) send(ctx context.Context) {
	timer := time.NewTimer(0)
	for {
		m, link, wait, over := c.next(time.Now())
		if over {
			return
		}
		if m == nil {
			timer.Reset(wait)
			select {
			case <-c.signal:
			case <-timer.C:
			case <-ctx.Done():
				return
			}
			continue
		}
		patience, cancel := context.WithTimeout(link, publishTime)
		_, err := c.manager.Publish(patience, &paho.Publish{Topic: m.topic, Payload: m.sending, QoS: m.qos, Retain: true})
		cancel()
		if ctx.Err() != nil {
			return
		}
		c.sending(m, err)
	}
}

// next takes the oldest message whose time has come, for the connection that is up; or says how long there will be none, or that
// there is nothing left to do.
func (c *Client) next(now time.Time) (m *message, link context.Context, wait time.Duration, over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing && (len(c.queue) == 0 || !c.up) {
		return nil, nil, 0, true
	}
	wait = time.Hour
	if !c.up {
		return nil, nil, wait, false
	}
	for i, m := range c.queue {
		due := m.every - now.Sub(m.last)
		if due > 0 && !c.closing {
			wait = min(wait, due)
			continue
		}
		c.queue = slices.Delete(c.queue, i, i+1)
		m.queued, m.last = false, now
		m.payload, m.sending = m.sending, m.payload
		return m, c.link, 0, false
	}
	return nil, nil, wait, false
}

// sending notes what became of a message. One that got lost is queued again unless there is a newer one.
func (c *Client) sending(m *message, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.sent++
		return
	}
	if c.up {
		c.o.Log.Warn("message not published", "topic", m.topic, "error", err)
	}
	if !m.queued {
		m.payload = append(m.payload[:0], m.sending...)
		m.queued, m.last = true, time.Now()
		c.queue = append(c.queue, m)
	}
	if m.every == 0 {
		m.every = time.Second // a broker that refuses a message is not asked all the time
	}
}
