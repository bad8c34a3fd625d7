/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * OpenSSL's functions, loaded at the first need; see tls_library.c. They are called as
 * xm_ssl.SSL_new(...), with OpenSSL's own types.
 *
 * Floor: skin.
 */
#ifndef XM_TLS_LIBRARY_H
#define XM_TLS_LIBRARY_H

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stddef.h>

#include "common/base.h"

#define XM_SSL_FUNCTIONS(X)                                                   \
	X(ASN1_TIME_to_tm)                                                    \
	X(BIO_clear_flags)                                                    \
	X(BIO_free)                                                           \
	X(BIO_get_data)                                                       \
	X(BIO_get_new_index)                                                  \
	X(BIO_meth_new)                                                       \
	X(BIO_meth_set_ctrl)                                                  \
	X(BIO_meth_set_read)                                                  \
	X(BIO_meth_set_write)                                                 \
	X(BIO_new)                                                            \
	X(BIO_new_mem_buf)                                                    \
	X(BIO_set_data)                                                       \
	X(BIO_set_flags)                                                      \
	X(BIO_set_init)                                                       \
	X(CRYPTO_get_mem_functions)                                           \
	X(ERR_clear_error)                                                    \
	X(ERR_peek_error)                                                     \
	X(ERR_pop_to_mark)                                                    \
	X(ERR_reason_error_string)                                            \
	X(ERR_set_mark)                                                       \
	X(EVP_PKEY_free)                                                      \
	X(OPENSSL_init_ssl)                                                   \
	X(OPENSSL_sk_num)                                                     \
	X(OSSL_LIB_CTX_new)                                                   \
	X(OSSL_PROVIDER_load)                                                 \
	X(PEM_read_bio_PrivateKey_ex)                                         \
	X(PEM_read_bio_X509)                                                  \
	X(PEM_read_bio_X509_CRL)                                              \
	X(SSL_CIPHER_find)                                                    \
	X(SSL_CTX_check_private_key)                                          \
	X(SSL_CTX_ctrl)                                                       \
	X(SSL_CTX_free)                                                       \
	X(SSL_CTX_get_cert_store)                                             \
	X(SSL_CTX_new_ex)                                                     \
	X(SSL_CTX_set_ciphersuites)                                           \
	X(SSL_CTX_set_num_tickets)                                            \
	X(SSL_CTX_set_options)                                                \
	X(SSL_CTX_set_psk_find_session_callback)                              \
	X(SSL_CTX_set_psk_use_session_callback)                               \
	X(SSL_CTX_set_verify)                                                 \
	X(SSL_CTX_use_PrivateKey)                                             \
	X(SSL_CTX_use_certificate)                                            \
	X(SSL_SESSION_free)                                                   \
	X(SSL_SESSION_new)                                                    \
	X(SSL_SESSION_set1_master_key)                                        \
	X(SSL_SESSION_set_cipher)                                             \
	X(SSL_SESSION_set_protocol_version)                                   \
	X(SSL_do_handshake)                                                   \
	X(SSL_free)                                                           \
	X(SSL_get0_peer_certificate)                                          \
	X(SSL_get_error)                                                      \
	X(SSL_get_ex_data)                                                    \
	X(SSL_get_ex_data_X509_STORE_CTX_idx)                                 \
	X(SSL_new)                                                            \
	X(SSL_pending)                                                        \
	X(SSL_read)                                                           \
	X(SSL_session_reused)                                                 \
	X(SSL_set_accept_state)                                               \
	X(SSL_set_bio)                                                        \
	X(SSL_set_connect_state)                                              \
	X(SSL_set_ex_data)                                                    \
	X(SSL_shutdown)                                                       \
	X(SSL_write)                                                          \
	X(TLS_method)                                                         \
	X(X509_CRL_free)                                                      \
	X(X509_CRL_get_REVOKED)                                               \
	X(X509_CRL_new_ex)                                                    \
	X(X509_NAME_get_text_by_NID)                                          \
	X(X509_STORE_CTX_free)                                                \
	X(X509_STORE_CTX_get0_cert)                                           \
	X(X509_STORE_CTX_get_current_cert)                                    \
	X(X509_STORE_CTX_get_error)                                           \
	X(X509_STORE_CTX_get_ex_data)                                         \
	X(X509_STORE_CTX_init)                                                \
	X(X509_STORE_CTX_new_ex)                                              \
	X(X509_STORE_CTX_set_error)                                           \
	X(X509_STORE_CTX_set_purpose)                                         \
	X(X509_STORE_add_cert)                                                \
	X(X509_STORE_add_crl)                                                 \
	X(X509_STORE_set_flags)                                               \
	X(X509_free)                                                          \
	X(X509_get0_notAfter)                                                 \
	X(X509_get0_notBefore)                                                \
	X(X509_get_subject_name)                                              \
	X(X509_new_ex)                                                        \
	X(X509_verify_cert)                                                   \
	X(X509_verify_cert_error_string)

struct xm_ssl_library {
#define XM_SSL_SLOT(name) __typeof__(name) *name;
	XM_SSL_FUNCTIONS(XM_SSL_SLOT)
#undef XM_SSL_SLOT
	OSSL_LIB_CTX *context; /* ours: no configuration, no engine of the program's */
	BIO_METHOD *socket;    /* made by tls_io.c */
};

extern struct xm_ssl_library xm_ssl;

/* Loads it, once. `alone`: the process is ours, so OpenSSL reads no configuration. 0, or
 * -ELIBACC and a sentence. On a thread on which the system may be asked for a file. */
int xm_ssl_load(bool alone, char *words, size_t words_size);

/* Around all calls but those of opening. False: the process is ending, and OpenSSL with
 * it; then nothing is called, nor xm_ssl_leave(). */
bool xm_ssl_enter(void);
void xm_ssl_leave(void);

#endif
