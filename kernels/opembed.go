package kernels

// embed appends the stages of another operator to p's. bind points the other operator's inputs and outputs at buffers of p;
// its inner buffers are appended to p's.
//
// Stages do not allocate, and the other operator's IO cannot live on the stack; a few of them are kept, and more are made
// only while more goroutines are at work.
func (p *Prepared) embed(name string, other *Prepared, bind func(sub, io *IO)) {
	first, end := len(p.Inner), len(p.Inner)+len(other.Inner)
	p.Inner = append(p.Inner, other.Inner...)
	free := make(chan *IO, 16)
	for range cap(free) {
		free <- new(IO)
	}
	for _, stage := range other.Stages {
		run := stage.Run
		stage.Name = name
		stage.Run = func(io *IO, lo, hi int, tmp []byte) {
			var sub *IO
			select {
			case sub = <-free:
			default:
				sub = new(IO)
			}
			bind(sub, io)
			sub.Inner = io.Inner[first:end]
			run(sub, lo, hi, tmp)
			*sub = IO{} // holds on to no session's memory
			select {
			case free <- sub:
			default:
			}
		}
		p.Stages = append(p.Stages, stage)
	}
}
