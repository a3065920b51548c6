// avx2only.so makes a program, preloaded with it, believe in a CPU without AVX-512 and AVX-VNNI: avx2only.py has replaced the CPUID
// instructions of its libraries by "int 3", and this answers them, AVX2 being the most it admits to.
#define _GNU_SOURCE
#include <cpuid.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>

static void answer(int signal, siginfo_t *info, void *context) {
	greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
	unsigned leaf = r[REG_RAX], sub = r[REG_RCX], a, b, c, d;
	__cpuid_count(leaf, sub, a, b, c, d);
	if (leaf == 7 && sub == 0) {
		b &= ~(1u << 16 | 1u << 17 | 1u << 21 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 30 | 1u << 31); // AVX512 F DQ IFMA PF ER CD BW VL
		c &= ~(1u << 1 | 1u << 6 | 1u << 8 | 1u << 11 | 1u << 12 | 1u << 14);                          // VBMI VBMI2 GFNI VNNI BITALG VPOPCNTDQ
		d &= ~(1u << 2 | 1u << 3 | 1u << 8 | 1u << 22 | 1u << 23 | 1u << 24 | 1u << 25);               // 4VNNIW 4FMAPS VP2INTERSECT AMX FP16
	} else if (leaf == 7) {
		a = b = c = d = 0; // AVX-VNNI, BF16, AVX-VNNI-INT8 and what came later
	} else if (leaf == 0xD && sub == 0) {
		a &= 7; // x87, SSE and AVX state
	} else if (leaf == 0x24) {
		a = b = c = d = 0; // AVX10
	}
	r[REG_RAX] = a, r[REG_RBX] = b, r[REG_RCX] = c, r[REG_RDX] = d;
}

__attribute__((constructor)) static void listen(void) {
	struct sigaction s;
	memset(&s, 0, sizeof s);
	s.sa_sigaction = answer;
	s.sa_flags = SA_SIGINFO | SA_NODEFER;
	sigaction(SIGTRAP, &s, 0);
}
