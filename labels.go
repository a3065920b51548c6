package rfgaedge

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// FindClass returns the id of the class that name means: an id, a label, one of a label's names (labels may list several,
// separated by commas), or words that only one label has. Letter case does not matter. A name that no class or more than
// one has gives an *OptionError that lists the candidates.
func (m *Model) FindClass(name string) (int, error) {
	classes := m.Classes()
	want := fold(name)
	if id, err := strconv.Atoi(strings.TrimSpace(name)); err == nil {
		if id < 0 || id >= classes {
			return 0, &OptionError{"class", fmt.Sprintf("id %d is not in 0..%d", id, classes-1)}
		}
		return id, nil
	}
	if want == "" {
		return 0, &OptionError{"class", "the name is empty"}
	}
	labels := m.Labels()
	if len(labels) == 0 {
		return 0, &OptionError{"class", fmt.Sprintf("the model has no labels; use an id, 0..%d", classes-1)}
	}
	// From the strictest reading of the name to the loosest; the first that anything matches decides.
	for _, match := range []func(label string) bool{
		func(l string) bool { return fold(l) == want },
		func(l string) bool {
			for part := range strings.SplitSeq(l, ",") {
				if fold(part) == want {
					return true
				}
			}
			return false
		},
		func(l string) bool { return strings.Contains(" "+fold(l)+" ", " "+want+" ") },
	} {
		if found := matching(labels, match); len(found) == 1 {
			return found[0], nil
		} else if len(found) > 1 {
			return 0, &OptionError{"class", fmt.Sprintf("%q may be %s; use the id", name, candidates(labels, found))}
		}
	}
	reason := fmt.Sprintf("no label is or contains the word %q", name)
	if near := matching(labels, func(l string) bool { return strings.Contains(fold(l), want) }); len(near) > 0 {
		reason += "; there is " + candidates(labels, near)
	}
	return 0, &OptionError{"class", reason}
}

func matching(labels []string, match func(string) bool) (ids []int) {
	for id, l := range labels {
		if match(l) {
			ids = append(ids, id)
		}
	}
	return ids
}

func candidates(labels []string, ids []int) string {
	var b strings.Builder
	for i, id := range ids {
		if i == 10 {
			fmt.Fprintf(&b, " or %d more", len(ids)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%d (%s)", id, labels[id])
	}
	return b.String()
}

// fold makes words comparable: lower case, anything that is no letter or digit becomes one space.
func fold(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }), " ")
}
