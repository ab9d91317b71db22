/* backend.c - what is the same for every backend. */
#include "backend.h"

void backend_close(struct backend *b)
{
    if (b)
        b->ops->close(b);
}
