/* unorm.h - Unicode: normal forms, lower case, marks, graphemes. All input is
 * valid UTF-8; all results are appended to out. Tables: utf8proc. */
#ifndef UNORM_H
#define UNORM_H

#include "buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum unorm_form { UNORM_NFC, UNORM_NFD, UNORM_NFKC, UNORM_NFKD };

/* Linear in n whatever the text (long runs of marks are sorted by counting).
 * *cp is working memory of *cap code points, kept between calls. */
void unorm_form(const char *s, size_t n, enum unorm_form form, int32_t **cp, size_t *cap,
                struct buf *out);
/* Full lower case mapping of each character by itself (no final sigma). */
void unorm_lower(const char *s, size_t n, struct buf *out);
void unorm_drop_marks(const char *s, size_t n, struct buf *out); // categories Mn, Mc, Me
/* BERT's rules: controls dropped and all kinds of spaces made ' '; spaces around Chinese
 * characters; marks of category Mn dropped. */
void unorm_clean(const char *s, size_t n, struct buf *out);
void unorm_space_cjk(const char *s, size_t n, struct buf *out);
void unorm_drop_accents(const char *s, size_t n, struct buf *out);
/* SentencePiece's `nmt` rule: odd controls dropped, odd spaces made spaces. */
void unorm_nmt(const char *s, size_t n, struct buf *out);
/* Narrow *s and *n to leave off White_Space at its ends. */
void unorm_strip(const char **s, size_t *n, bool left, bool right);
bool unorm_is_space(uint32_t cp); // White_Space
/* \w of Rust's regex crate: Alphabetic, M, Nd, Pc, joiners. */
bool unorm_is_word(uint32_t cp);
/* Bytes of the first extended grapheme cluster of s[0..n), n > 0. */
size_t unorm_grapheme(const char *s, size_t n);

#endif
