package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"image/jpeg"
	"log/slog"
	"math"
	"net"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/mqtt"
	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/overlay"
)

// mqttFlags are the flags of verbs that publish what cameras show.
type mqttFlags struct {
	URL       string  `name:"mqtt" env:"RFGA_MQTT" placeholder:"URL" help:"Publish to this MQTT 5 broker: mqtt://HOST:PORT, mqtts for TLS, ws or wss. User and password are taken from RFGA_MQTT_USER and RFGA_MQTT_PASSWORD, or from the URL in RFGA_MQTT; RFGA_MQTT_CA, RFGA_MQTT_CERT and RFGA_MQTT_KEY name PEM files for TLS."`
	Prefix    string  `name:"mqtt-topic" default:"rfga-edge" placeholder:"PREFIX" help:"What topics begin with (${default}): PREFIX/NAME/status, PREFIX/NAME/CAMERA/result."`
	Node      string  `name:"mqtt-name" placeholder:"NAME" help:"This process's name in topics; without it the machine's. Two processes at one broker need two names."`
	Interval  float64 `name:"mqtt-interval" default:"1" placeholder:"S" help:"Seconds between two results of a camera, at least (${default}); 0 for all that the broker takes."`
	Snapshot  bool    `name:"mqtt-snapshot" help:"Publish frames too, as JPEG with boxes drawn."`
	Discovery string  `name:"mqtt-discovery" default:"homeassistant" placeholder:"PREFIX" help:"Where Home Assistant looks for new devices (${default}); empty to be found by nobody."`
}

var (
	topicLevels = regexp.MustCompile(`^[^+#\x00/]+(/[^+#\x00/]+)*$`)
	noNode      = regexp.MustCompile(`[^A-Za-z0-9_-]+`)
)

// start connects to the broker in the background; it returns nil without --mqtt. The caller closes the client.
func (c *mqttFlags) start(e *env, model *rfgaedge.Model, cameras []string) (*mqtt.Client, error) {
	if c.URL == "" {
		return nil, nil
	}
	o := mqtt.Options{Prefix: c.Prefix, Node: c.Node, Cameras: cameras, Snapshots: c.Snapshot, Discovery: c.Discovery, Model: model.Name(), Version: version(),
		Interval: time.Duration(c.Interval * float64(time.Second)), Log: slog.New(slog.NewTextHandler(e.err, nil))}
	if !(c.Interval >= 0 && c.Interval <= 86400) || math.IsNaN(c.Interval) {
		return nil, usage("--mqtt-interval %g: 0 to 86400", c.Interval)
	}
	if !topicLevels.MatchString(c.Prefix) {
		return nil, usage("--mqtt-topic %q: want words with '/' between them, without '+' and '#'", c.Prefix)
	}
	if c.Discovery != "" && !topicLevels.MatchString(c.Discovery) {
		return nil, usage("--mqtt-discovery %q: want words with '/' between them, without '+' and '#'", c.Discovery)
	}
	if o.Node == "" {
		host, _ := os.Hostname()
		if o.Node = strings.Trim(noNode.ReplaceAllString(host, "_"), "_"); o.Node == "" {
			o.Node = "edge"
		}
	} else if noNode.MatchString(o.Node) {
		return nil, usage("--mqtt-name %q: want letters, digits, '_' and '-'", o.Node)
	}
	if err := c.broker(&o); err != nil {
		return nil, err
	}
	client, err := mqtt.Start(o)
	return client, badIO(err)
}

// broker takes apart the URL and reads the environment.
func (c *mqttFlags) broker(o *mqtt.Options) error {
	u, err := url.Parse(c.URL)
	if err != nil {
		return usage("--mqtt: the URL cannot be read; want a form such as mqtt://broker:1883") // its text may have the password
	}
	port := map[string]string{"mqtt": "1883", "tcp": "1883", "mqtts": "8883", "ssl": "8883", "tls": "8883", "ws": "80", "wss": "443"}[u.Scheme]
	if port == "" || u.Hostname() == "" {
		return usage("--mqtt %s: want mqtt://HOST:PORT, mqtts://, ws:// or wss://", u.Redacted())
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), port)
	}
	if _, ok := u.User.Password(); ok && os.Getenv("RFGA_MQTT") != c.URL {
		return usage("--mqtt %s: a password on the command line can be read by other users; put the URL into RFGA_MQTT, or the password into RFGA_MQTT_PASSWORD", u.Redacted())
	}
	o.Broker, o.User = u, u.User.Username()
	o.Password, _ = u.User.Password()
	if user, ok := os.LookupEnv("RFGA_MQTT_USER"); ok {
		o.User = user
	}
	if password, ok := os.LookupEnv("RFGA_MQTT_PASSWORD"); ok {
		o.Password = password
	}
	o.TLS, err = brokerTLS(u.Hostname())
	return err
}

// brokerTLS is how to speak TLS: with the system's certificates unless the environment names others.
func brokerTLS(host string) (*tls.Config, error) {
	config := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if path := os.Getenv("RFGA_MQTT_CA"); path != "" {
		pem, err := os.ReadFile(path)
		if err != nil {
			return nil, badIO(fmt.Errorf("RFGA_MQTT_CA: %w", err))
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, badInput(fmt.Errorf("RFGA_MQTT_CA: %s has no certificate in PEM", path))
		}
	}
	if cert, key := os.Getenv("RFGA_MQTT_CERT"), os.Getenv("RFGA_MQTT_KEY"); cert != "" || key != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, badInput(fmt.Errorf("RFGA_MQTT_CERT and RFGA_MQTT_KEY: %w", err))
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// reporter publishes a camera's answers. A nil one does nothing.
type reporter struct {
	client *mqtt.Client
	camera string
	rgb    []byte
}

// report publishes a good answer, and the frame it is about where that is wanted and there.
func (r *reporter) report(a *rfgaedge.Answer, line []byte) {
	if r == nil || a.Err != nil {
		return
	}
	r.client.Result(r.camera, line)
	if a.Frame == nil || !r.client.WantsSnapshot(r.camera) {
		return
	}
	r.rgb = a.Frame.RGB(r.rgb)
	var b bytes.Buffer
	img := overlay.Draw(r.rgb, a.Frame.Width, a.Frame.Height, nil, marks(&a.Result))
	if jpeg.Encode(&b, img, &jpeg.Options{Quality: 85}) == nil {
		r.client.Snapshot(r.camera, b.Bytes())
	}
}

func (r *reporter) close() {
	if r != nil {
		r.client.Close()
	}
}
