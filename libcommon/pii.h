/* pii.h - personal data by pattern: addresses, phone numbers, cards, accounts.
 *
 * Patterns with their checks, not names or places. An e-mail address: a local part of at most 64
 * bytes, '@', a domain with a dot and a last label of letters. A phone number: '+' and 8 to 15
 * digits in groups, or 00 as a group before them; 3-3-4 digits as in North America; or 9 to 11
 * digits that begin with 0, in three to five groups. A card: 13 to 19 digits that begin with 2..6,
 * with Luhn's checksum. An IP address, version 4 or 6, that is routed: not private, local,
 * multicast or for documentation. An IBAN, with its checksum. Sources: RFC 5321 (local part), ITU-T
 * E.164, ISO/IEC 7812-1 (cards), ISO 13616 (IBAN), RFC 6890 (special addresses). */
#ifndef PII_H
#define PII_H

#include "buf.h"
#include "err.h"
#include "kinds.h"

#include <stdbool.h>
#include <stddef.h>

enum pii_kind { PII_EMAIL, PII_PHONE, PII_CARD, PII_IP, PII_IBAN, PII_N };
extern const char *const pii_names[]; // "email" ...; NULL-terminated

/* A set of kinds (bit 1 << kind) out of "email,phone"; ERR_ARG names what is none. */
int pii_parse(const char *list, unsigned *kinds, struct err *e);

struct pii_hit {
    enum pii_kind kind;
    size_t at, n; // in the text
};

/* The first of these kinds at or after *at, which is moved behind it. Linear in what it reads. */
bool pii_next(const struct kinds *text, unsigned kinds, size_t *at, struct pii_hit *h);

/* Append the text with <EMAIL>, <PHONE>, <CARD>, <IP>, <IBAN> in place of what was found;
 * returns how many. */
int pii_mask(const char *s, size_t n, unsigned kinds, struct buf *out);

#endif
