// Package mqtt publishes what cameras show to an MQTT 5 broker, and tells Home Assistant of it.
//
// With the prefix rfga-edge, the node's name shed and a camera door:
//
//	rfga-edge/shed/status         "online", or "offline" as last will; retained
//	rfga-edge/shed/door/state     "online" while the camera gives frames, else "offline"; retained
//	rfga-edge/shed/door/result    the newest answer as JSON; retained
//	rfga-edge/shed/door/snapshot  the frame of an answer as JPEG, if wanted; retained
//
// The client keeps the newest message of every topic and nothing older, connected or not, so a broker that is slow, away or restarted
// costs no memory and nobody's time. What is retained is sent again after every connection, because a broker may have forgotten.
//
// It imports eclipse/paho.golang and nothing of this module.
package mqtt
