package rfgaedge_test

import (
	"context"
	"fmt"
	"image"
	_ "image/jpeg"
	"log"
	"os"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/defaultmodel"
)

// decodeFile decodes a photo of the formats that are imported above.
func decodeFile(path string) image.Image {
	f, err := os.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	img, _, err := image.Decode(f)
	if err != nil {
		log.Fatal(err)
	}
	return img
}

// What is in a photo, and where. A program with a model of its own calls rfgaedge.Open("model.rfga") instead.
func Example() {
	model, err := defaultmodel.Open()
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	session, err := model.NewSession(rfgaedge.Threads(2))
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()

	var result rfgaedge.Result
	frame := rfgaedge.FrameOf(decodeFile("testdata/photos/panda.jpg"))
	if err := session.Localize(context.Background(), frame, &result); err != nil {
		log.Fatal(err)
	}
	best := result.Locations[0]
	fmt.Println(best.Class.Label)
	fmt.Println("in the left half:", best.Box.X0 < frame.Width/4)
	// Output:
	// giant panda
	// in the left half: true
}

// Where a named class would be, whatever the picture shows, with one box for every separate region.
func ExampleSession_SetOptions() {
	model, err := defaultmodel.Open()
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	session, err := model.NewSession()
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()

	id, err := model.FindClass("goldfish")
	if err != nil {
		log.Fatal(err)
	}
	if err := session.SetOptions(rfgaedge.LocalizeOptions{Classes: []int{id}, Multi: true}); err != nil {
		log.Fatal(err)
	}
	var result rfgaedge.Result
	if err := session.Localize(context.Background(), rfgaedge.FrameOf(decodeFile("testdata/photos/fish25.jpg")), &result); err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Locations[0].Class.ID, result.Locations[0].Class.Label)
	// Output:
	// 1 goldfish
}

// A camera's frame: NV12, two planes in one buffer, limited range. Nothing is allocated for the frames after the first.
func ExampleFrame() {
	model, err := defaultmodel.Open()
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	session, err := model.NewSession()
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()

	const width, height = 640, 480
	buffer := make([]byte, width*height*3/2) // the camera writes here
	frame := rfgaedge.Frame{
		Format: rfgaedge.NV12, Width: width, Height: height, Matrix: rfgaedge.BT709, Range: rfgaedge.Limited,
		Planes: [3][]byte{buffer[:width*height], buffer[width*height:]},
	}
	var result rfgaedge.Result // used again and again
	for range 3 {
		if err := session.Localize(context.Background(), &frame, &result); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(result.Width, result.Height, len(result.Classes))
	// Output:
	// 640 480 1
}

// Two cameras share one session. Each has its own goroutine for the frames and one for the answers; here a photo
// stands in for the camera.
func ExamplePool() {
	model, err := defaultmodel.Open()
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	pool, err := model.NewPool(1, rfgaedge.Threads(2))
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()

	ctx := context.Background()
	for _, name := range []string{"panda", "fish25"} {
		camera, err := pool.Camera(rfgaedge.CameraOptions{Name: name})
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			photo := rfgaedge.FrameOf(decodeFile("testdata/photos/" + name + ".jpg"))
			for seq := range uint64(3) { // the pool looks at the newest when a session is free
				if err := camera.Offer(ctx, photo, rfgaedge.Stamp{Seq: seq}); err != nil {
					log.Fatal(err)
				}
			}
			camera.Finish()
		}()
		var answer, last rfgaedge.Answer // used again and again
		for camera.Next(ctx, &answer) == nil {
			answer, last = last, answer
		}
		fmt.Println(camera.Name(), last.Seq, last.Result.Classes[0].Label)
	}
	// Output:
	// panda 2 giant panda
	// fish25 2 goldfish
}
