/* hash_words.h - hashes of a text's words, eight at once where the processor can. */
#ifndef HASH_WORDS_H
#define HASH_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* hash_word of n pieces begin[k]..end[k]-1 of s[0..all), none of them empty: as they are or, with
 * `lower`, those whose first byte is of ASCII in lower case. */
void hash_words(const char *s, size_t all, const uint32_t *begin, const uint32_t *end, size_t n,
                bool lower, uint64_t *hash);

#endif
