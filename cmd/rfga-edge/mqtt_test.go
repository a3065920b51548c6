package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"image"
	"image/color"
	"image/jpeg"
	"log/slog"
	"math/big"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	broker "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

// openBroker starts a broker, with TLS if config is not nil, for the user edge with the password secret, and gives its address
// and what it is sent as topic and payload.
func openBroker(t *testing.T, config *tls.Config) (addr string, got <-chan [2]string) {
	t.Helper()
	server := broker.New(&broker.Options{InlineClient: true, Logger: slog.New(slog.DiscardHandler)})
	rules := &auth.Ledger{Auth: auth.AuthRules{{Username: "edge", Password: "secret", Allow: true}}}
	if err := server.AddHook(new(auth.Hook), &auth.Options{Ledger: rules}); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr = l.Addr().String()
	if config != nil {
		l = tls.NewListener(l, config)
	}
	if err := server.AddListener(listeners.NewNet("it", l)); err != nil {
		t.Fatal(err)
	}
	if err := server.Serve(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	messages := make(chan [2]string, 1000)
	if err := server.Subscribe("#", 1, func(_ *broker.Client, _ packets.Subscription, p packets.Packet) {
		messages <- [2]string{p.TopicName, string(p.Payload)}
	}); err != nil {
		t.Fatal(err)
	}
	return addr, messages
}

// message waits for the next message of a topic.
func message(got <-chan [2]string, topic string) string {
	for m := range got {
		if m[0] == topic {
			return m[1]
		}
	}
	return ""
}

// certificate makes one for 127.0.0.1 that has signed itself, and its PEM file.
func certificate(t *testing.T, dir string) (*tls.Config, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	path := file(t, filepath.Join(dir, "ca.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, path
}

func TestServeMQTT(t *testing.T) {
	dir := t.TempDir()
	config, ca := certificate(t, dir)
	addr, got := openBroker(t, config)
	t.Setenv("RFGA_MQTT", "mqtts://edge:secret@"+addr)
	t.Setenv("RFGA_MQTT_CA", ca)
	clip := video(t, dir, image.Rect(30, 40, 80, 100), color.RGBA{0, 0, 255, 255})
	_, stop := background(t, "serve", "--listen", "127.0.0.1:0", "--model", colours(t, dir), "--source", "door="+clip+"#format=rgb24#size=160x120",
		"--mqtt-name", "shed", "--mqtt-snapshot", "--mqtt-interval", "0")
	if text := message(got, "homeassistant/sensor/rfga_edge_shed_door/class/config"); !json.Valid([]byte(text)) {
		t.Errorf("discovery %q", text)
	}
	if text := message(got, "rfga-edge/shed/status"); text != "online" {
		t.Errorf("status %q", text)
	}
	var l streamLine
	decode(t, message(got, "rfga-edge/shed/door/result"), &l)
	if l.Src != "door" || l.Classes[0].Label != "blue jay" {
		t.Errorf("result %+v", l)
	}
	if code, text := stop(); code != exitOK {
		t.Errorf("exit code %d\n%s", code, text)
	}
	if text := message(got, "rfga-edge/shed/status"); text != "offline" {
		t.Errorf("status %q", text)
	}
}

func TestStreamMQTT(t *testing.T) {
	dir := t.TempDir()
	addr, got := openBroker(t, nil)
	t.Setenv("RFGA_MQTT_USER", "edge")
	t.Setenv("RFGA_MQTT_PASSWORD", "secret")
	in, out := net.Pipe() // a live source that lasts until the snapshot has come
	ended := make(chan int, 1)
	var lines, said bytes.Buffer
	model := colours(t, dir)
	go func() {
		ended <- Main([]string{"stream", "-m", model, "--format", "rgb24", "--size", "160x120", "--mqtt", "mqtt://" + addr, "--mqtt-name", "shed",
			"--mqtt-topic", "home/cams", "--mqtt-camera", "yard", "--mqtt-snapshot", "--mqtt-interval", "0", "--mqtt-discovery", ""}, in, &lines, &said)
	}()
	frame := strings.Repeat("\xff\x00\x00", 160*60) + strings.Repeat("\x00\x00\x00", 160*60)
	snapshot := make(chan string, 1)
	go func() {
		message(got, "home/cams/shed/status")
		snapshot <- message(got, "home/cams/shed/yard/snapshot")
	}()
	picture := ""
	for picture == "" {
		if _, err := out.Write([]byte(frame)); err != nil {
			t.Fatal(err)
		}
		select {
		case picture = <-snapshot:
		default:
		}
	}
	out.Close()
	if img, err := jpeg.Decode(strings.NewReader(picture)); err != nil || img.Bounds() != image.Rect(0, 0, 160, 120) {
		t.Errorf("snapshot: %v", err)
	}
	if code := <-ended; code != exitOK {
		t.Errorf("exit code %d\n%s", code, said.String())
	}
	first, _, _ := strings.Cut(lines.String(), "\n")
	var l streamLine
	decode(t, first, &l)
	if text := message(got, "home/cams/shed/status"); text != "offline" {
		t.Errorf("status %q", text)
	}
}
