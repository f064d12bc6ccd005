/*
 * An engine that holds keys and a client's certificate in the files of one directory, and writes down what it does.
 * The test compiles it with DIRECTORY defined.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/engine.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>

static RSA_METHOD *method;

static void note(const char *what)
{
    FILE *log = fopen(DIRECTORY "/log", "a");
    if (log != NULL) {
        fprintf(log, "%s\n", what);
        fclose(log);
    }
}

static FILE *open_file(const char *name, const char *extension)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s.%s", DIRECTORY, name, extension);
    return fopen(path, "r");
}

static int private_encrypt(int length, const unsigned char *from, unsigned char *to, RSA *rsa, int padding)
{
    note("sign");
    return RSA_meth_get_priv_enc(RSA_PKCS1_OpenSSL())(length, from, to, rsa, padding);
}

/* The key is tied to this engine's code, as one in hardware would be. */
static EVP_PKEY *read_key(const char *name)
{
    FILE *file = open_file(name, "key");
    EVP_PKEY *read = file == NULL ? NULL : PEM_read_PrivateKey(file, NULL, NULL, NULL);
    RSA *rsa = read == NULL ? NULL : EVP_PKEY_get1_RSA(read);
    EVP_PKEY *key = EVP_PKEY_new();
    if (file != NULL)
        fclose(file);
    EVP_PKEY_free(read);
    if (rsa == NULL || key == NULL || !RSA_set_method(rsa, method) || !EVP_PKEY_assign_RSA(key, rsa)) {
        EVP_PKEY_free(key);
        return NULL;
    }
    return key;
}

static EVP_PKEY *load_private_key(ENGINE *engine, const char *identifier, UI_METHOD *ui, void *arg)
{
    note("load_private_key");
    return read_key(identifier);
}

static int load_client_certificate(ENGINE *engine, SSL *ssl, STACK_OF(X509_NAME) *names, X509 **certificate,
                                   EVP_PKEY **key, STACK_OF(X509) **others, UI_METHOD *ui, void *arg)
{
    FILE *file = open_file("client", "pem");
    note("load_client_certificate");
    *certificate = file == NULL ? NULL : PEM_read_X509(file, NULL, NULL, NULL);
    *key = read_key("client");
    if (file != NULL)
        fclose(file);
    return *certificate != NULL && *key != NULL;
}

static int init(ENGINE *engine)
{
    FILE *broken = open_file("broken", "init");
    note("init");
    if (broken != NULL)
        fclose(broken);
    return broken == NULL;
}

static int finish(ENGINE *engine)
{
    note("finish");
    return 1;
}

static int destroy(ENGINE *engine)
{
    note("destroy");
    RSA_meth_free(method);
    return 1;
}

static int bind(ENGINE *engine, const char *id)
{
    method = RSA_meth_dup(RSA_PKCS1_OpenSSL());
    return method != NULL && RSA_meth_set_priv_enc(method, private_encrypt)
        && ENGINE_set_id(engine, "nodetls-test") && ENGINE_set_name(engine, "keys in files")
        && ENGINE_set_init_function(engine, init) && ENGINE_set_finish_function(engine, finish)
        && ENGINE_set_destroy_function(engine, destroy)
        && ENGINE_set_load_privkey_function(engine, load_private_key)
        && ENGINE_set_load_ssl_client_cert_function(engine, load_client_certificate);
}

IMPLEMENT_DYNAMIC_CHECK_FN()
IMPLEMENT_DYNAMIC_BIND_FN(bind)
