/* schema.h - JSON Schema (draft 2020-12) as a grammar of JSON texts.
 *
 * Every text of the grammar is valid under the schema; not every valid text is of the grammar:
 *   - members come in the order in which the schema names them, others behind them;
 *   - where additionalProperties is not given, an object has only the members that are named in
 *     `properties` or `required`, and any when none is; items behind prefixItems likewise;
 *   - without `type`, the keywords that are there say which types are meant (`properties`: object),
 *     and none mean any value;
 *   - white space and digits of numbers are limited as jsoncfg.h says;
 *   - a string under `pattern` or `format`, a name and a literal have one spelling.
 * oneOf is read as anyOf: that just one alternative matches is not looked after. Names of members
 * that the schema does not name may come twice (a reader takes the last). A keyword that is not
 * supported, or not beside another, is an error with its JSON pointer; annotations are passed over.
 * References are to places within the schema; recursion is fine. */
#ifndef SCHEMA_H
#define SCHEMA_H

#include "cfg.h"

/* Read n bytes into *c, which is zeroed. Errors: ERR_DATA, "/properties/a: keyword 'not' is not
 * supported"; then *c is empty. */
int schema_read(struct cfg *c, const char *s, size_t n, struct err *e);

#endif
