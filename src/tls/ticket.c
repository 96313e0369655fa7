/* Keys of session tickets.
 *
 * A ticket is the state of a session, encrypted by the server and kept by the client. A
 * worker takes up a session that another one began if both have the key. They do without
 * saying a word to each other: the master makes a secret by chance before the first fork,
 * all processes inherit it, and time alone decides which keys follow from it.
 *
 *     secret(n + 1) = HKDF-Expand(secret(n), "next")
 *     keys(n)       = HKDF-Expand(secret(n), "keys")      name, cipher and mac
 *
 * Epoch n lasts from start + n * rotation to the next, by the monotonic clock, which is the
 * same in all processes. Every process goes on by itself, erases the secret it came from,
 * and keeps the keys of the epoch before to read older tickets; secrets cannot be computed
 * backwards. The master goes on before each fork, so that a worker born later is not given
 * what others have erased. A process that takes no connection keeps what it had until it
 * takes one.
 *
 * The steps of HKDF (RFC 5869) are done here with HMAC, which every version of OpenSSL has
 * under the same name. */
#include "tls/ticket.h"

#include "os/clock.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <string.h>
#if OPENSSL_VERSION_NUMBER >= 0x30000000L
#include <openssl/core_names.h>
#endif

enum {
    LABEL_BYTES = 4,
    BLOCK_BYTES = 32, /* of SHA-256 */
};

static int keys_index = -1; /* where an SSL_CTX keeps its keys */

/* HKDF-Expand of a secret to size bytes, a multiple of BLOCK_BYTES. */
static void
expand(const unsigned char *secret, const char *label, unsigned char *bytes, size_t size)
{
    unsigned char input[BLOCK_BYTES + LABEL_BYTES + 1];
    size_t before = 0; /* bytes of the block before, in front of the label */

    for (size_t done = 0; done < size; done += BLOCK_BYTES) {
        unsigned length = 0;
        memcpy(input + before, label, LABEL_BYTES);
        input[before + LABEL_BYTES] = (unsigned char)(done / BLOCK_BYTES + 1);
        (void)HMAC(EVP_sha256(), secret, PF_TICKET_KEY_BYTES, input,
                   before + LABEL_BYTES + 1, bytes + done, &length);
        memcpy(input, bytes + done, BLOCK_BYTES);
        before = BLOCK_BYTES;
    }
    OPENSSL_cleanse(input, sizeof input);
}

static void
derive(const unsigned char *secret, struct pf_ticket_epoch *epoch)
{
    unsigned char bytes[3 * BLOCK_BYTES];

    expand(secret, "keys", bytes, sizeof bytes);
    memcpy(epoch->cipher, bytes, sizeof epoch->cipher);
    memcpy(epoch->mac, bytes + BLOCK_BYTES, sizeof epoch->mac);
    memcpy(epoch->name, bytes + 2 * (size_t)BLOCK_BYTES, sizeof epoch->name);
    OPENSSL_cleanse(bytes, sizeof bytes);
}

static void
step(struct pf_ticket_keys *keys)
{
    unsigned char next[PF_TICKET_KEY_BYTES];

    expand(keys->secret, "next", next, sizeof next);
    memcpy(keys->secret, next, sizeof next);
    OPENSSL_cleanse(next, sizeof next);
    keys->number++;
}

int
pf_ticket_init(struct pf_ticket_keys *keys, pf_time now, pf_time rotation)
{
    *keys = (struct pf_ticket_keys){.start = now, .rotation = rotation};
    if (RAND_bytes(keys->secret, sizeof keys->secret) != 1 ||
        RAND_bytes(keys->previous.name, sizeof keys->previous.name) != 1)
        return -EIO;
    derive(keys->secret, &keys->present);
    return 0;
}

void
pf_ticket_deinit(struct pf_ticket_keys *keys)
{
    OPENSSL_cleanse(keys, sizeof *keys);
}

/* Keys are made for the last two epochs only; those between are passed through. */
void
pf_ticket_advance(struct pf_ticket_keys *keys, pf_time now)
{
    int64_t number = (now - keys->start) / keys->rotation;

    if (number <= keys->number)
        return;
    while (keys->number < number - 1)
        step(keys);
    derive(keys->secret, &keys->previous);
    step(keys);
    derive(keys->secret, &keys->present);
}

/* ---- OpenSSL's side ---------------------------------------------------------------- */

/* The one thing here that differs between versions: who computes the mac. */
#if OPENSSL_VERSION_NUMBER >= 0x30000000L
typedef EVP_MAC_CTX mac_state;
#define set_callback SSL_CTX_set_tlsext_ticket_key_evp_cb

static int
start_mac(mac_state *mac, const unsigned char *key)
{
    unsigned char copy[PF_TICKET_KEY_BYTES];
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, copy, sizeof copy),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    int done;

    memcpy(copy, key, sizeof copy);
    done = EVP_MAC_CTX_set_params(mac, params);
    OPENSSL_cleanse(copy, sizeof copy);
    return done;
}
#else
typedef HMAC_CTX mac_state;
#define set_callback SSL_CTX_set_tlsext_ticket_key_cb

static int
start_mac(mac_state *mac, const unsigned char *key)
{
    return HMAC_Init_ex(mac, key, PF_TICKET_KEY_BYTES, EVP_sha256(), NULL);
}
#endif

static int
make(struct pf_ticket_keys *keys, unsigned char *name, unsigned char *iv,
     EVP_CIPHER_CTX *cipher, mac_state *mac)
{
    const struct pf_ticket_epoch *epoch = &keys->present;

    memcpy(name, epoch->name, sizeof epoch->name);
    if (RAND_bytes(iv, EVP_CIPHER_iv_length(EVP_aes_256_cbc())) != 1 ||
        EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, epoch->cipher, iv) != 1 ||
        start_mac(mac, epoch->mac) != 1)
        return -1;
    return 1;
}

/* 0: not our ticket, go on without; 1: ours; 2: ours, and the client is to have another:
 * because the key is the older one, or because with TLS 1.3 it uses each but once. */
static int
take(SSL *ssl, struct pf_ticket_keys *keys, const unsigned char *name,
     const unsigned char *iv, EVP_CIPHER_CTX *cipher, mac_state *mac)
{
    const struct pf_ticket_epoch *epoch = NULL;

    if (memcmp(name, keys->present.name, sizeof keys->present.name) == 0)
        epoch = &keys->present;
    else if (keys->number > 0 &&
             memcmp(name, keys->previous.name, sizeof keys->previous.name) == 0)
        epoch = &keys->previous;
    if (!epoch)
        return 0;
    if (start_mac(mac, epoch->mac) != 1 ||
        EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, epoch->cipher, iv) != 1)
        return -1;
    return epoch == &keys->present && SSL_version(ssl) < TLS1_3_VERSION ? 1 : 2;
}

static int
use_keys(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
         mac_state *mac, int encrypt)
{
    struct pf_ticket_keys *keys = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), keys_index);

    pf_ticket_advance(keys, pf_clock_now());
    return encrypt ? make(keys, name, iv, cipher, mac)
                   : take(ssl, keys, name, iv, cipher, mac);
}

void
pf_ticket_install(SSL_CTX *ctx, struct pf_ticket_keys *keys)
{
    if (keys_index < 0)
        keys_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    (void)SSL_CTX_set_ex_data(ctx, keys_index, keys);
    (void)set_callback(ctx, use_keys);
}
