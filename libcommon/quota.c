/* quota.c - shares of a whole number by weight, and the entropy of sizes. */
#include "quota.h"

#include "mem.h"
#include "num.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

double quota_weight(enum quota_balance b, double temp, int64_t size)
{
    if (size < 1)
        return 0;
    switch (b) {
    case QUOTA_UNIFORM:
        return 1;
    case QUOTA_SQRT:
        return sqrt((double)size);
    case QUOTA_TEMPERATURE:
        return num_exp_d(num_log_d((double)size) / temp);
    default:
        return (double)size;
    }
}

/* Fill up whoever's share reaches its cap and share out again; then floors, then
 * the largest remainders. */
int64_t quota_share(const double *weight, const int64_t *cap, int k, int64_t count, int64_t *quota)
{
    double *rest = mem_zero((size_t)k, sizeof(*rest)); // fractions; -1: full, or weight 0
    int64_t left = count;
    double total;
    bool filled;

    for (int c = 0; c < k; c++) {
        quota[c] = 0;
        rest[c] = weight[c] > 0 && cap[c] > 0 ? 0 : -1;
    }
    do {
        filled = false;
        total = 0;
        for (int c = 0; c < k; c++)
            total += rest[c] < 0 ? 0 : weight[c];
        double share = total > 0 ? (double)left / total : 0; // of this round, before any is filled
        for (int c = 0; c < k; c++)
            if (rest[c] >= 0 && share * weight[c] >= (double)cap[c]) {
                quota[c] = cap[c];
                left -= cap[c];
                rest[c] = -1;
                filled = true;
            }
    } while (filled);
    double share = total > 0 ? (double)left / total : 0;
    for (int c = 0; c < k; c++)
        if (rest[c] >= 0) {
            quota[c] = (int64_t)(share * weight[c]);
            rest[c] = share * weight[c] - (double)quota[c];
        }
    for (int c = 0; c < k; c++)
        left -= rest[c] >= 0 ? quota[c] : 0;
    while (left > 0) {
        int best = -1;

        for (int c = 0; c < k; c++)
            if (rest[c] >= 0 && quota[c] < cap[c] && (best < 0 || rest[c] > rest[best]))
                best = c;
        if (best < 0)
            break;
        quota[best]++;
        rest[best] = 0;
        left--;
    }
    free(rest);
    return count - left;
}

double quota_entropy(const int64_t *size, int k)
{
    double n = 0, h = 0;

    for (int c = 0; c < k; c++)
        n += (double)size[c];
    for (int c = 0; c < k; c++)
        if (size[c])
            h -= (double)size[c] / n * num_log_d((double)size[c] / n);
    return h > 0 ? h : 0;
}
