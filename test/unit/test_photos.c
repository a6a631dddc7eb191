/* Photos of candidates: what is taken from a folder, and how the web server gives it. */
#include "dashboard/photos.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "log.h"
#include "test.h"
#include "web_rig.h"

#define VIEWER "viewer0123456789abcdef0123456789"

static const char png[] = "\x89PNG\r\n\x1a\n rest";
static const char jpeg[] = "\xff\xd8\xff\xe0 rest";
static const char webp[] = "RIFF\x10\0\0\0WEBPVP8 rest";

/* ---- the scene ------------------------------------------------------------------------------- */

static char folder[64];
static struct photos photos;

static void write_file(const char *name, const char *bytes, size_t len)
{
    VD_AUTO(mem) char *path = vd_format("%s/%s", folder, name);
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void write_zeros(const char *name, const char *head, size_t len)
{
    VD_AUTO(mem) char *bytes = vd_alloc(len);

    memcpy(bytes, head, strlen(head));
    write_file(name, bytes, len);
}

static int make_folder(void **state)
{
    umask(0077);
    (void)snprintf(folder, sizeof(folder), "/tmp/votingd-photos-XXXXXX"); /* fits */
    assert_non_null(mkdtemp(folder));
    return 0;
}

static int remove_folder(void **state)
{
    VD_AUTO(mem) char *command = vd_format("rm -r '%s'", folder);

    photos_fini(&photos);
    assert_int_equal(system(command), 0);
    return 0;
}

/* Warnings go to ".log" in the folder, a name that is not looked at. */
static void serve(struct rig *rig, const void *arg)
{
    VD_AUTO(mem) char *path = vd_format("%s/.log", folder);
    int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    int saved = dup(STDERR_FILENO);

    assert_true(file >= 0 && saved >= 0);
    dup2(file, STDERR_FILENO);
    vd_log_setup(VD_LOG_WARN, VD_LOG_TEXT);
    assert_int_equal(photos_serve(&photos, folder, rig->web, rig->log, &rig->err), VD_OK);
    vd_log_setup(VD_LOG_ERROR, VD_LOG_TEXT);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(file);
}

static void assert_logged(const char *words)
{
    VD_AUTO(mem) char *path = vd_format("%s/.log", folder);
    static char text[262144];
    FILE *file = fopen(path, "re");

    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    (void)fclose(file); /* only read from */
    if (strstr(text, words) == NULL) {
        fail_msg("expected \"%s\" in \"%s\"", words, text);
    }
}

static void assert_answers(const struct rig *rig, const char *path, const char *headers,
                           const char *const *words)
{
    VD_AUTO(mem)
    char *request = vd_format("GET %s HTTP/1.1\r\nHost: HOST\r\n%s\r\n", path, headers);
    VD_AUTO(mem) char *answer = rig_http(rig, request);

    for (; *words != NULL; words++) {
        if (strstr(answer, *words) == NULL) {
            fail_msg("%s: expected \"%s\" in \"%s\"", path, *words, answer);
        }
    }
}

/* ---- tests ----------------------------------------------------------------------------------- */

TEST(type_is_told_by_content_not_by_name)
{
    static const struct {
        const char *name, *bytes;
        size_t len;
        const char *id, *type;
    } cases[] = {
        {"ann.png", png, sizeof(png), "ann", "image/png"},
        {"ann.jpg", webp, sizeof(webp), "ann", "image/webp"},
        {"0b-1_C.webp", jpeg, sizeof(jpeg), "0b-1_C", "image/jpeg"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        VD_AUTO(buf) struct vd_buf bytes = {0};
        VD_AUTO(mem) char *id = NULL;
        const char *type = NULL;
        struct vd_err err = {0};

        write_file(cases[i].name, cases[i].bytes, cases[i].len);
        assert_int_equal(photo_read(folder, cases[i].name, &id, &type, &bytes, &err), VD_OK);
        assert_string_equal(id, cases[i].id);
        assert_string_equal(type, cases[i].type);
        assert_int_equal(bytes.len, cases[i].len);
        assert_memory_equal(bytes.data, cases[i].bytes, cases[i].len);
    }
}

TEST(what_is_no_photo_of_a_candidate_is_refused_with_its_remedy)
{
    static const struct {
        const char *name, *words;
    } cases[] = {
        {"text.png", "text.png\" is no JPEG, PNG or WebP: convert it"},
        {"empty.png", "empty.png\" is no JPEG, PNG or WebP"},
        {"large.png", "large.png\" has more than 262144 bytes: make it a file of at most 256 KiB"},
        {"gone.png", "gone.png\": No such file or directory"},
        {"sub.png", "sub.png\": it is no regular file"},
        {"pipe.png", "pipe.png\": it is no regular file"},
        {"../ann.png", "../ann.png\" is named after no candidate: call it ID.jpg, ID.png or "
                       "ID.webp, with an id of letters, digits, \"-\" and \"_\""},
        {"a/b.png", "a/b.png\" is named after no candidate"},
        {"a..b.png", "a..b.png\" is named after no candidate"},
        {"*.png", "*.png\" is named after no candidate"},
        {".png", ".png\" is named after no candidate"},
        {"ann", "ann\" is named after no candidate"},
        {"ann.gif", "ann.gif\" is named after no candidate"},
    };
    VD_AUTO(mem) char *sub = vd_format("%s/sub.png", folder);
    VD_AUTO(mem) char *pipe = vd_format("%s/pipe.png", folder);

    assert_int_equal(mkdir(sub, 0700), 0);
    assert_int_equal(mkfifo(pipe, 0600), 0);
    write_file("text.png", "no picture", 10);
    write_file("empty.png", "", 0);
    write_zeros("large.png", png, PHOTO_BYTES_MAX + 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        VD_AUTO(buf) struct vd_buf bytes = {0};
        VD_AUTO(mem) char *id = NULL;
        const char *type = NULL;
        struct vd_err err = {0};

        assert_int_equal(photo_read(folder, cases[i].name, &id, &type, &bytes, &err), VD_INVALID);
        if (strstr(err.msg, cases[i].words) == NULL) {
            fail_msg("%s: %s", cases[i].name, err.msg);
        }
        assert_null(id);
    }
}

TEST(folder_that_cannot_be_read_is_an_error)
{
    struct vd_err err = {0};

    assert_int_equal(photos_check("/nowhere", &err), VD_INVALID);
    assert_string_equal(err.msg, "option \"photos\": could not read folder \"/nowhere\": No such "
                                 "file or directory; set it to the folder that holds the "
                                 "candidates' photos, or leave it out");
    assert_int_equal(photos_check(folder, &err), VD_OK);
}

TEST(photo_is_served_with_type_and_etag_to_those_who_may_read)
{
    VD_AUTO(mem) char *tokens = vd_format("%s/.tokens", folder);
    const char *const options[] = {"access", "token", "tokens", tokens, NULL};
    struct rig rig;

    write_file(".tokens", "v:viewer:" VIEWER "\n", sizeof("v:viewer:" VIEWER "\n") - 1);
    write_file("ann.jpg", png, sizeof(png));
    write_file("ann.png", png, sizeof(png));
    write_zeros("bob.jpg", jpeg, PHOTO_BYTES_MAX);
    write_file("notes.txt", "x", 1);
    rig_open(&rig, options, serve);
    assert_int_equal(photos.count, 2);
    assert_string_equal(photos.ids[0], "ann");
    assert_string_equal(photos.ids[1], "bob");
    assert_logged("ann.png\" is a second photo of candidate \"ann\": remove one of them");
    assert_logged("left out a photo: \"");
    assert_logged("notes.txt\" is named after no candidate");
    assert_answers(&rig, "/photos/ann", "Authorization: Bearer " VIEWER "\r\n",
                   (const char *const[]){"HTTP/1.1 200", "Content-Type: image/png\r\n", "ETag: \"",
                                         "X-Content-Type-Options: nosniff\r\n", NULL});
    assert_answers(&rig, "/photos/notes", "Authorization: Bearer " VIEWER "\r\n",
                   (const char *const[]){"HTTP/1.1 404", NULL});
    assert_answers(&rig, "/photos/ann", "", (const char *const[]){"HTTP/1.1 401", NULL});
    rig_close(&rig);
}

TEST(no_more_than_256_files_are_looked_at)
{
    struct rig rig;

    for (int i = 0; i < PHOTOS_MAX + 2; i++) {
        VD_AUTO(mem) char *name = vd_format("c%03d.webp", i);

        write_file(name, webp, sizeof(webp));
    }
    rig_open(&rig, NULL, serve);
    assert_int_equal(photos.count, PHOTOS_MAX);
    assert_string_equal(photos.ids[PHOTOS_MAX - 1], "c255");
    assert_logged("left out 2 of 258 files in \"");
    assert_logged("those from \"c256.webp\" on: option \"photos\" takes 256 at most; keep only "
                  "those of candidates");
    rig_close(&rig);
}

#define IN_FOLDER(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

RUN_TESTS(IN_FOLDER(type_is_told_by_content_not_by_name),
          IN_FOLDER(what_is_no_photo_of_a_candidate_is_refused_with_its_remedy),
          IN_FOLDER(folder_that_cannot_be_read_is_an_error),
          IN_FOLDER(photo_is_served_with_type_and_etag_to_those_who_may_read),
          IN_FOLDER(no_more_than_256_files_are_looked_at))
