package scene

import "sync"

// Member keeps what one member of a group holds and has read, as its client says.
type Member struct {
	mutex  sync.Mutex
	parts  map[int]bool
	values []string
	leave  func()
}

// NewMember returns a member that holds nothing. What ends it may be given later, by OnLeave.
func NewMember() *Member { return &Member{parts: map[int]bool{}} }

// OnLeave sets what a member does to leave: it returns when the group knows.
func (m *Member) OnLeave(leave func()) { m.leave = leave }

// Leave has the member leave the group.
func (m *Member) Leave() { m.leave() }

// Holds says whether the member holds a partition.
func (m *Member) Holds(partition int, does bool) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.parts[partition] = does; !does {
		delete(m.parts, partition)
	}
}

// Read says that the member has read a value.
func (m *Member) Read(value string) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.values = append(m.values, value)
}

func (m *Member) holding() (parts []int) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	for part := range m.parts {
		parts = append(parts, part)
	}
	return parts
}

func (m *Member) read() []string {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return append([]string(nil), m.values...)
}

// AwaitValues waits until the member has read those values, and no others.
func (m *Member) AwaitValues(values []string) {
	Until("the reads of a member", func() bool { return len(m.read()) >= len(values) })
	Same("values", m.read(), values)
}

// AwaitShare waits until so many partitions are held, each by one member, and the members hold so many of them.
func AwaitShare(members []*Member, partitions int, counts ...int) {
	Until("the share", func() bool {
		all, as := map[int]bool{}, true
		for i, m := range members {
			parts := m.holding()
			as = as && len(parts) == counts[i]
			for _, part := range parts {
				all[part] = true
			}
		}
		return as && len(all) == partitions
	})
}

// ComeAndGo has a member come, a second one share four partitions with it, both read forty values once, and first the one and then the
// other leave. What they committed is up to those who come next: ten values of each partition are read.
func ComeAndGo(join func() *Member, produce func(partition int, values []string)) {
	members := []*Member{join()}
	AwaitShare(members, 4, 4)
	members = append(members, join())
	AwaitShare(members, 4, 2, 2)
	for partition := range 4 {
		produce(partition, Numbers(10*partition, 10))
	}
	read := map[string]int{}
	Until("40 reads", func() bool {
		clear(read)
		total := 0
		for _, m := range members {
			for _, value := range m.read() {
				read[value]++
				total++
			}
		}
		return total >= 40
	})
	for _, value := range Numbers(0, 40) {
		Same("reads of "+value, read[value], 1)
	}
	members[0].Leave()
	AwaitShare(members[1:], 4, 4)
	members[1].Leave()
}

// Pause has one member read two partitions, the first of which is paused at first.
func Pause(m *Member, produce func(partition int, values []string), pause, resume func()) {
	AwaitShare([]*Member{m}, 2, 2)
	pause()
	for partition := range 2 {
		produce(partition, Numbers(10*partition, 10))
	}
	m.AwaitValues(Numbers(10, 10))
	resume()
	m.AwaitValues(append(Numbers(10, 10), Numbers(0, 10)...))
}
