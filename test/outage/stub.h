/* A port where nobody serves: it takes connections, closes them at once and counts them. */
#ifndef VD_TEST_OUTAGE_STUB_H
#define VD_TEST_OUTAGE_STUB_H

struct stub;

/* Listen on a port of loopback, which must be free. */
struct stub *stub_new(int port);

/* Close the port. Sets: connections taken per second, on average and in the busiest second. Frees
 * the stub; NULL is accepted and sets nothing. */
void stub_free(struct stub *stub, double *mean, int *max);

#endif
