package service

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// tab is a page in headless Chromium, spoken to by the DevTools protocol.
type tab struct {
	t      *testing.T
	socket *websocket.Conn
	last   int
	wrong  []string // exceptions, and what the page's policy has kept out
}

// chromium opens a page, or skips the test where there is no Chromium.
func chromium(t *testing.T) *tab {
	t.Helper()
	path := os.Getenv("CHROMIUM")
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); path == "" && err == nil {
			path = found
		}
	}
	if path == "" {
		t.Skip("chromium is not installed, and CHROMIUM names none")
	}
	profile, err := os.MkdirTemp("", "rfga-page")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(profile) }) // as far as its last processes let it
	cmd := exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-sync",
		"--disable-background-networking", "--disable-component-update", "--disable-quic", "--remote-debugging-port=0", "--user-data-dir="+profile, "about:blank")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	host := ""
	for lines := bufio.NewScanner(stderr); host == "" && lines.Scan(); {
		if _, url, ok := strings.Cut(lines.Text(), "DevTools listening on ws://"); ok {
			host, _, _ = strings.Cut(url, "/")
		}
	}
	drained := make(chan struct{}) // when the last process has closed it
	go func() {
		io.Copy(io.Discard, stderr)
		close(drained)
	}()
	r, err := http.NewRequest(http.MethodPut, "http://"+host+"/json/new", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatalf("chromium at %q: %v", host, err)
	}
	defer answer.Body.Close()
	var target struct{ WebSocketDebuggerURL string }
	if err := json.NewDecoder(answer.Body).Decode(&target); err != nil {
		t.Fatal(err)
	}
	c := &tab{t: t}
	if c.socket, _, err = websocket.DefaultDialer.Dial(target.WebSocketDebuggerURL, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // before it is killed, it has the chance to end its children
		c.socket.WriteJSON(map[string]any{"id": 0, "method": "Browser.close"})
		select {
		case <-drained:
		case <-time.After(5 * time.Second):
		}
		c.socket.Close()
	})
	for _, domain := range []string{"Page", "Runtime", "Log", "DOM"} {
		c.call(domain+".enable", nil, nil)
	}
	return c
}

// call runs a method of the protocol.
func (c *tab) call(method string, params map[string]any, into any) {
	c.t.Helper()
	c.last++
	if err := c.socket.WriteJSON(map[string]any{"id": c.last, "method": method, "params": params}); err != nil {
		c.t.Fatal(err)
	}
	for {
		var m struct {
			ID     int
			Method string
			Params json.RawMessage
			Result json.RawMessage
			Error  *struct{ Message string }
		}
		if err := c.socket.ReadJSON(&m); err != nil {
			c.t.Fatalf("%s: %v", method, err)
		}
		if m.Method == "Runtime.exceptionThrown" || m.Method == "Log.entryAdded" && strings.Contains(string(m.Params), `"level":"error"`) {
			c.wrong = append(c.wrong, string(m.Params))
		}
		if m.ID != c.last {
			continue
		}
		if m.Error != nil {
			c.t.Fatalf("%s: %s", method, m.Error.Message)
		}
		if into != nil {
			if err := json.Unmarshal(m.Result, into); err != nil {
				c.t.Fatal(err)
			}
		}
		return
	}
}

// value evaluates an expression in the page.
func (c *tab) value(expression string) string {
	c.t.Helper()
	var r struct {
		Result           struct{ Value any }
		ExceptionDetails any
	}
	c.call("Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true}, &r)
	if r.ExceptionDetails != nil {
		c.t.Fatalf("%s: %v", expression, r.ExceptionDetails)
	}
	return fmt.Sprint(r.Result.Value)
}

// wait waits until a condition holds in the page.
func (c *tab) wait(condition string) {
	c.t.Helper()
	c.value(fmt.Sprintf(`new Promise(done => { const look = () => { if (%s) done(true); else setTimeout(look, 20) }; look() })`, condition))
}

// open goes to an address and waits for the page's script to have begun.
func (c *tab) open(url, ready string) {
	c.t.Helper()
	c.call("Page.navigate", map[string]any{"url": url}, nil)
	c.wait(fmt.Sprintf("location.href.startsWith(%q) && %s", url, ready))
}

// choose gives a file to an input.
func (c *tab) choose(selector, path string) {
	c.t.Helper()
	var doc struct{ Root struct{ NodeID int } }
	c.call("DOM.getDocument", nil, &doc)
	var node struct{ NodeID int }
	c.call("DOM.querySelector", map[string]any{"nodeId": doc.Root.NodeID, "selector": selector}, &node)
	c.call("DOM.setFileInputFiles", map[string]any{"nodeId": node.NodeID, "files": []string{path}}, nil)
}

// key presses a key.
func (c *tab) key(name string, code int) {
	c.t.Helper()
	for _, kind := range []string{"keyDown", "keyUp"} {
		params := map[string]any{"type": kind, "key": name, "code": name, "windowsVirtualKeyCode": code}
		if name == "Enter" && kind == "keyDown" {
			params["text"] = "\r"
		}
		c.call("Input.dispatchKeyEvent", params, nil)
	}
}

// nameless lists what a screen reader would find that has a role but no name, as Chromium sees it.
func (c *tab) nameless() (list []string) {
	c.t.Helper()
	var tree struct {
		Nodes []struct {
			Ignored    bool
			Role, Name struct{ Value any }
		}
	}
	c.call("Accessibility.getFullAXTree", nil, &tree)
	for _, n := range tree.Nodes {
		switch role := fmt.Sprint(n.Role.Value); role {
		case "button", "slider", "textbox", "image", "img", "link", "region", "navigation", "dialog", "listbox":
			if name, _ := n.Name.Value.(string); !n.Ignored && name == "" {
				list = append(list, role)
			}
		}
	}
	return list
}
