package plugin_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/rfga-edge/rfga-edge/plugin"
)

// BenchmarkLocalize says what the module takes for a photo, and what calls that can be interrupted cost.
func BenchmarkLocalize(b *testing.B) {
	ctx := context.Background()
	wasm, file := module(b, "./module", "defaultmodel"), read(b, photo)
	for _, interruptible := range []bool{false, true} {
		b.Run(fmt.Sprintf("interruptible=%v", interruptible), func(b *testing.B) {
			p, err := plugin.Open(ctx, wasm, plugin.Config{CacheDir: filepath.Join(built.dir, "cache"), Interruptible: interruptible})
			if err != nil {
				b.Fatal(err)
			}
			defer p.Close(ctx)
			m, err := p.Load(ctx, nil)
			if err != nil {
				b.Fatal(err)
			}
			infer := int64(0)
			for b.Loop() {
				rec, err := m.Localize(ctx, plugin.Picture(file), 1)
				if err != nil {
					b.Fatal(err)
				}
				infer += rec.Micros.Infer
			}
			b.ReportMetric(float64(infer)/1000/float64(b.N), "infer-ms/op")
		})
	}
}
