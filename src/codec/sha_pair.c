/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/sha_pair.h"

#include <stddef.h>
#include <stdlib.h>

#ifdef __x86_64__

#include <cpuid.h>
#include <immintrin.h>

#define BLOCK 64

/* FIPS 180-4, 4.2.2. */
static const uint32_t k[64] __attribute__((aligned(16))) = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
	0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
	0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
	0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
	0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
	0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
	0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
	0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

/* What follows a page: a one bit, zeroes, and its length in bits. */
static const uint8_t padding[BLOCK] = {
	[0] = 0x80,
	[62] = PAGE_SIZE_BYTES * 8 >> 8,
};

/* The eight words a to h, as the instructions want them. */
struct state {
	__m128i abef;
	__m128i cdgh;
};

#define SHA        __attribute__((target("sha,sse4.1")))
#define SHA_INLINE static inline __attribute__((always_inline)) SHA

bool sha_pair_available(void)
{
	unsigned eax;
	unsigned ebx;
	unsigned ecx;
	unsigned edx;

	return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) &&
	       (ebx & bit_SHA) != 0 && __get_cpuid(1, &eax, &ebx, &ecx, &edx) &&
	       (ecx & bit_SSE4_1) != 0;
}

SHA_INLINE __m128i load(const void *p)
{
	return _mm_loadu_si128(p);
}

SHA_INLINE __m128i load_words(const uint8_t *p)
{
	const __m128i swap =
		_mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);

	return _mm_shuffle_epi8(load(p), swap);
}

/* Words 4 i to 4 i + 3 of the schedule, in place of those 16 before. */
SHA_INLINE void schedule(__m128i w[4], const uint8_t *block, int i)
{
	__m128i last = w[(i + 3) & 3];

	if (i < 4) {
		w[i] = load_words(block + (ptrdiff_t)16 * i);
		return;
	}
	w[i & 3] = _mm_sha256msg1_epu32(w[i & 3], w[(i + 1) & 3]);
	w[i & 3] = _mm_add_epi32(w[i & 3],
				 _mm_alignr_epi8(last, w[(i + 2) & 3], 4));
	w[i & 3] = _mm_sha256msg2_epu32(w[i & 3], last);
}

/* Four rounds. */
SHA_INLINE void rounds(struct state *s, __m128i w, int i)
{
	__m128i wk = _mm_add_epi32(w, load(k + (ptrdiff_t)4 * i));

	s->cdgh = _mm_sha256rnds2_epu32(s->cdgh, s->abef, wk);
	wk = _mm_shuffle_epi32(wk, 0x0e);
	s->abef = _mm_sha256rnds2_epu32(s->abef, s->cdgh, wk);
}

/* One block each. */
SHA_INLINE void compress(struct state s[2], const uint8_t *a, const uint8_t *b)
{
	struct state before[2] = { s[0], s[1] };
	__m128i wa[4] = { _mm_setzero_si128() };
	__m128i wb[4] = { _mm_setzero_si128() };

#define STEP(i)                                                                \
	do {                                                                   \
		schedule(wa, a, i);                                            \
		schedule(wb, b, i);                                            \
		rounds(&s[0], wa[(i)&3], i);                                   \
		rounds(&s[1], wb[(i)&3], i);                                   \
	} while (0)
	STEP(0);
	STEP(1);
	STEP(2);
	STEP(3);
	STEP(4);
	STEP(5);
	STEP(6);
	STEP(7);
	STEP(8);
	STEP(9);
	STEP(10);
	STEP(11);
	STEP(12);
	STEP(13);
	STEP(14);
	STEP(15);
#undef STEP
	for (int i = 0; i < 2; i++) {
		s[i].abef = _mm_add_epi32(s[i].abef, before[i].abef);
		s[i].cdgh = _mm_add_epi32(s[i].cdgh, before[i].cdgh);
	}
}

/* FIPS 180-4, 5.3.3. */
SHA_INLINE struct state start(void)
{
	return (struct state){
		.abef = _mm_set_epi32(0x6a09e667, (int)0xbb67ae85, 0x510e527f,
				      (int)0x9b05688c),
		.cdgh = _mm_set_epi32(0x3c6ef372, (int)0xa54ff53a, 0x1f83d9ab,
				      0x5be0cd19),
	};
}

SHA_INLINE void store(const struct state *s, struct hash *out)
{
	uint8_t words[HASH_SIZE];
	__m128i feba = _mm_shuffle_epi32(s->abef, 0x1b);
	__m128i dchg = _mm_shuffle_epi32(s->cdgh, 0x1b);
	__m128i abcd = _mm_unpacklo_epi64(feba, dchg);
	__m128i efgh = _mm_unpackhi_epi64(feba, dchg);

	_mm_storeu_si128((__m128i *)(void *)words, abcd);
	_mm_storeu_si128((__m128i *)(void *)(words + 16), efgh);
	_mm_storeu_si128((__m128i *)(void *)out->b, load_words(words));
	_mm_storeu_si128((__m128i *)(void *)(out->b + 16),
			 load_words(words + 16));
}

SHA void sha_pair_pages(const uint8_t pages[2 * PAGE_SIZE_BYTES],
			struct hash leaves[2])
{
	struct state s[2] = { start(), start() };

	for (const uint8_t *p = pages; p < pages + PAGE_SIZE_BYTES; p += BLOCK)
		compress(s, p, p + PAGE_SIZE_BYTES);
	compress(s, padding, padding);
	store(&s[0], &leaves[0]);
	store(&s[1], &leaves[1]);
}

#else

bool sha_pair_available(void)
{
	return false;
}

void sha_pair_pages(const uint8_t pages[2 * PAGE_SIZE_BYTES],
		    struct hash leaves[2])
{
	(void)pages;
	(void)leaves;
	abort();
}

#endif
