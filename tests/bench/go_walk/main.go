// Command go_walk re-creates the store of kube-state-metrics in its shape, for a bench to compare
// with: text rendered when an object changed, a sync.Map of uid to one piece of text a family, and a
// scrape that walks the map once for each family. It prints the CPU milliseconds of one such walk,
// the median of a few: written into a buffer as an HTTP answer's is, and from there to nowhere.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"sort"
	"strconv"
	"sync"
	"syscall"
)

const families = 13

type store struct {
	headers [families][]byte
	objects sync.Map // uid → [][]byte
}

func (s *store) add(number int) {
	pod := fmt.Sprintf(
		`namespace="team-%d",pod="service-%d-%010x-%05x",workload="service-%d",workload_type="deployment"`,
		number%40, number%400, uint64(number)*0x9E3779B97F4A7C15>>24, number, number%400)
	pieces := make([][]byte, families)
	for family := range pieces {
		name := fmt.Sprintf("bench_family_number_%d_of_a_pod", family)
		if family < 7 {
			pieces[family] = []byte(fmt.Sprintf("%s{%s} 1.0\n", name, pod))
			continue
		}
		for _, container := range []string{"app", "istio-proxy"} {
			line := fmt.Sprintf("%s{container=%q,%s} 134217728.0\n", name, container, pod)
			pieces[family] = append(pieces[family], line...)
		}
	}
	s.objects.Store(strconv.Itoa(number), pieces)
}

func (s *store) writeAll(w io.Writer) {
	for family := range s.headers {
		w.Write(s.headers[family])
		s.objects.Range(func(_, value any) bool {
			w.Write(value.([][]byte)[family])
			return true
		})
	}
}

func cpuMilliseconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	sum := func(t syscall.Timeval) float64 { return float64(t.Sec)*1e3 + float64(t.Usec)/1e3 }
	return sum(usage.Utime) + sum(usage.Stime)
}

// bufferBytes is what our exporter joins before it writes.
const bufferBytes = 64 << 10

func main() {
	pods, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	s := &store{}
	for family := range s.headers {
		s.headers[family] = []byte(fmt.Sprintf("# HELP bench_family_number_%d_of_a_pod A family.\n", family))
	}
	for number := 0; number < pods; number++ {
		s.add(number)
	}
	var taken []float64
	for turn := 0; turn < 15; turn++ {
		began := cpuMilliseconds()
		buffer := bufio.NewWriterSize(io.Discard, bufferBytes)
		s.writeAll(buffer)
		buffer.Flush()
		taken = append(taken, cpuMilliseconds()-began)
	}
	sort.Float64s(taken)
	fmt.Println(taken[len(taken)/2])
}
