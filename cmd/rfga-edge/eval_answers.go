package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/wsol"
)

// answers says which of the model's classes are right for an image.
type answers struct {
	accepted map[string][]int // --accepted: more right classes of the data set, by id, file name or stem
	classes  map[int][]int    // --classes: a class of the data set in the model; nil: the same numbers
}

func readAnswers(c *evalCmd, model *rfgaedge.Model) (*answers, error) {
	a := &answers{}
	if c.Accepted != "" {
		b, err := os.ReadFile(c.Accepted)
		if err == nil {
			err = json.Unmarshal(b, &a.accepted)
		}
		if err != nil {
			if !isIO(err) {
				err = fmt.Errorf("%s: an object of lists of classes is expected, {\"id\": [1, 2]}: %w", c.Accepted, err)
			}
			return nil, badInput(err)
		}
	}
	if c.Classes != "" {
		if model == nil {
			return nil, usage("--classes translates a model's classes; --npy has none")
		}
		f, err := os.Open(c.Classes)
		if err != nil {
			return nil, badIO(err)
		}
		defer f.Close()
		if a.classes, err = readClasses(f, model); err != nil {
			return nil, badInput(fmt.Errorf("%s: %w", c.Classes, err))
		}
	}
	return a, nil
}

// readClasses reads lines "data-set class,model class". A first line without numbers is a heading.
func readClasses(r io.Reader, model *rfgaedge.Model) (map[int][]int, error) {
	m := map[int][]int{}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" {
			continue
		}
		from, to, _ := strings.Cut(text, ",")
		class, err := strconv.Atoi(strings.TrimSpace(from))
		if err != nil && n == 1 {
			continue
		}
		if err != nil || class < 0 {
			return nil, fmt.Errorf("line %d: %q: a class of the data set (a number), a comma and a class of the model are expected", n, text)
		}
		id, err := model.FindClass(strings.Trim(strings.TrimSpace(to), `"`))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, unwrapOption(err))
		}
		m[class] = append(m[class], id)
	}
	return m, lines.Err()
}

// unwrapOption keeps a wrong file from looking like a wrong flag.
func unwrapOption(err error) error {
	var o *rfgaedge.OptionError
	if errors.As(err, &o) {
		return errors.New(o.Error())
	}
	return err
}

// of lists the model's right classes for an image, the one whose map is wanted first; none if no class fits.
func (a *answers) of(item *wsol.Item, classes int) ([]int, error) {
	var own []int
	if item.Class != wsol.NoClass {
		own = append(own, item.Class)
	}
	name := path.Base(item.ID)
	for _, key := range []string{item.ID, strings.TrimSuffix(item.ID, path.Ext(item.ID)), name, strings.TrimSuffix(name, path.Ext(name))} {
		if more, ok := a.accepted[key]; ok {
			own = append(own, more...)
			break
		}
	}
	var right []int
	for _, class := range own {
		ids := []int{class}
		if a.classes != nil {
			ids = a.classes[class]
		}
		for _, id := range ids {
			if id < 0 || id >= classes {
				return nil, badInput(fmt.Errorf("image %s has class %d; the model has classes 0 to %d: --classes says which is which", item.ID, id, classes-1))
			}
			if !slices.Contains(right, id) {
				right = append(right, id)
			}
		}
	}
	return right, nil
}
