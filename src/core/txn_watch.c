/* Interceptors that count transactional requests; they run on the library's threads:
 * atomics only. */
#include "txn_watch.h"

#include <assert.h>

#include "failpoint.h"

/* Kafka protocol, API keys. */
enum {
    API_ADD_PARTITIONS = 24,
    API_ADD_OFFSETS = 25,
    API_END_TXN = 26,
    API_TXN_OFFSET_COMMIT = 28
};

static bool is_transactional(int16_t api_key)
{
    return api_key == API_ADD_PARTITIONS || api_key == API_ADD_OFFSETS || api_key == API_END_TXN ||
           api_key == API_TXN_OFFSET_COMMIT;
}

static rd_kafka_resp_err_t on_request_sent(rd_kafka_t *rk, int fd, const char *broker,
                                           int32_t broker_id, int16_t api_key, int16_t version,
                                           int32_t correlation, size_t bytes, void *opaque)
{
    struct vd_txn_watch *watch = opaque;

    if (api_key == API_END_TXN) {
        atomic_fetch_add(&watch->end_txn_sent, 1);
        (void)VD_FAILPOINT(watch->log, txn_end_sent);
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_response_received(rd_kafka_t *rk, int fd, const char *broker,
                                                int32_t broker_id, int16_t api_key, int16_t version,
                                                int32_t correlation, size_t bytes, int64_t rtt_us,
                                                rd_kafka_resp_err_t error, void *opaque)
{
    struct vd_txn_watch *watch = opaque;

    if (is_transactional(api_key) && error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        atomic_store(&watch->is_doubtful, true);
        vd_debug(watch->log, "no answer to transactional request %d: %s", api_key,
                 rd_kafka_err2str(error));
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_new(rd_kafka_t *rk, const rd_kafka_conf_t *conf, void *opaque,
                                  char *text, size_t text_bytes)
{
    rd_kafka_resp_err_t error;

    error = rd_kafka_interceptor_add_on_request_sent(rk, "votingd", on_request_sent, opaque);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
        error = rd_kafka_interceptor_add_on_response_received(rk, "votingd", on_response_received,
                                                              opaque);
    }
    return error;
}

void vd_txn_watch_attach(struct vd_txn_watch *watch, rd_kafka_conf_t *conf)
{
    rd_kafka_resp_err_t error =
        rd_kafka_conf_interceptor_add_on_new(conf, "votingd", on_new, watch);

    assert(error == RD_KAFKA_RESP_ERR_NO_ERROR);
    (void)error; /* only asserted */
}

void vd_txn_watch_reset(struct vd_txn_watch *watch)
{
    atomic_store(&watch->end_txn_sent, 0);
    atomic_store(&watch->is_doubtful, false);
}

bool vd_txn_watch_is_doubtful(const struct vd_txn_watch *watch)
{
    return atomic_load(&watch->is_doubtful) || atomic_load(&watch->end_txn_sent) > 1;
}
