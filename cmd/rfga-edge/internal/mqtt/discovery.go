package mqtt

import (
	"encoding/json"
	"iter"
	"strings"
)

// entity is what Home Assistant's discovery wants to know of a sensor.
type entity map[string]any

// discovery gives topic and payload of everything that Home Assistant is told of: for each camera the most probable class, its
// probability, whether the camera gives frames, and the snapshot; and whether this process runs.
func (c *Client) discovery() iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		send := func(component, object string, e entity) bool {
			e["origin"] = map[string]string{"name": "rfga-edge", "sw_version": c.o.Version}
			payload, err := json.Marshal(e)
			if err != nil {
				panic(err) // strings and numbers alone
			}
			node, name, _ := strings.Cut(object, "/")
			return yield(strings.Join([]string{c.o.Discovery, component, node, name, "config"}, "/"), payload)
		}
		node := "rfga_edge_" + c.o.Node
		if !send("binary_sensor", node+"/running", entity{"name": "Running", "unique_id": node + "_running", "device_class": "running",
			"entity_category": "diagnostic", "state_topic": c.status(), "payload_on": online, "payload_off": offline,
			"device": c.device(node, "rfga-edge "+c.o.Node, "")}) {
			return
		}
		for _, camera := range c.o.Cameras {
			if !c.cameraEntities(node, camera, send) {
				return
			}
		}
	}
}

func (c *Client) device(id, name, via string) map[string]any {
	d := map[string]any{"identifiers": []string{id}, "name": name, "manufacturer": "rfga-edge", "model": c.o.Model, "sw_version": c.o.Version}
	if via != "" {
		d["via_device"] = via
	}
	return d
}

// Templates take what is shown from a result. Home Assistant keeps at most 255 characters of a state.
const (
	classTemplate = `{{ ((value_json.cls[0].label or 'class ' ~ value_json.cls[0].id).split(',')[0] if value_json.cls else 'none')[:255] }}`
	scoreTemplate = `{{ (100 * value_json.cls[0].p) | round(1) if value_json.cls else 0 }}`
	boxTemplate   = `{{ {'box': value_json.loc[0].box if value_json.loc else none, 'frame': [value_json.w, value_json.h], 'seq': value_json.seq} | tojson }}`
)

func (c *Client) cameraEntities(node, camera string, send func(component, object string, e entity) bool) bool {
	id := node + "_" + strings.ReplaceAll(camera, ".", "_") // a dot is none of what Home Assistant takes
	device := c.device(id, camera, node)
	running := map[string]string{"topic": c.status()}
	watching := []map[string]string{running, {"topic": c.topic(camera, "state")}}
	result := c.topic(camera, "result")
	ok := send("sensor", id+"/class", entity{"name": "Class", "unique_id": id + "_class", "icon": "mdi:image-search", "state_topic": result,
		"value_template": classTemplate, "json_attributes_topic": result, "json_attributes_template": boxTemplate,
		"availability": watching, "availability_mode": "all", "device": device}) &&
		send("sensor", id+"/score", entity{"name": "Score", "unique_id": id + "_score", "icon": "mdi:percent", "state_topic": result,
			"value_template": scoreTemplate, "unit_of_measurement": "%", "state_class": "measurement",
			"availability": watching, "availability_mode": "all", "device": device}) &&
		send("binary_sensor", id+"/connectivity", entity{"name": "Connectivity", "unique_id": id + "_connectivity", "device_class": "connectivity",
			"entity_category": "diagnostic", "state_topic": c.topic(camera, "state"), "payload_on": online, "payload_off": offline,
			"availability": []map[string]string{running}, "device": device})
	if ok && c.o.Snapshots {
		ok = send("camera", id+"/snapshot", entity{"name": "Snapshot", "unique_id": id + "_snapshot", "topic": c.topic(camera, "snapshot"),
			"availability": []map[string]string{running}, "device": device})
	}
	return ok
}
