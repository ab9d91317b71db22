/* quota.h - shares of a whole number by weight, and the entropy of sizes. */
#ifndef QUOTA_H
#define QUOTA_H

#include <stdint.h>

/* How many records of a topic, by its size: alike, by its square root, by its size to the power
 * of 1 / temperature, in proportion; or no quotas. */
enum quota_balance { QUOTA_UNIFORM, QUOTA_SQRT, QUOTA_TEMPERATURE, QUOTA_PROPORTIONAL, QUOTA_NONE };
double quota_weight(enum quota_balance b, double temp, int64_t size);

/* Shares of `count` by weight: exact by largest remainder (ties to the lowest
 * index), none above its cap; what a full one cannot take goes to the others
 * (water-fill). Returns the sum given, less than count only when all caps are
 * full or the others' weights are 0. */
int64_t quota_share(const double *weight, const int64_t *cap, int k, int64_t count, int64_t *quota);

/* Shannon entropy (nats) of sizes; its exp is the effective number of topics. */
double quota_entropy(const int64_t *size, int k);

#endif
