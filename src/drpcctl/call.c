/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * drpcctl call: receives the numbers of a module and a method, and a body; sends one call and
 * prints the status and the body of the answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include <drpc/client.h>
#include <drpc/status.h>

#include "drpcctl/command.h"
#include "drpcctl/text.h"
#include "util/cleanup.h"

#define COMMAND		   "drpcctl call"
#define DEFAULT_SOCKET	   "/run/drpc/drpcd.sock"
#define DEFAULT_TIMEOUT_MS 30000

struct call {
	const char *socket;
	int timeout_ms;
	const char *text; /* at most one of these three */
	const char *hex;
	const char *file;
	bool json;
	int32_t module;
	int32_t method;
	uint8_t *body;
	size_t body_size;
};

static const char help[] =
	"drpcctl call - call a method and print the answer\n\n"
	"Usage: drpcctl call [OPTION]... MODULE METHOD [-]\n\n"
	"MODULE and METHOD are numbers (a negative one after --). The body is what the method expects,\n"
	"already encoded; without one it is empty. \"-\" reads it from standard input. The answer's body is\n"
	"printed as text where it is printable UTF-8, else as hexadecimal digits.\n\n"
	"Options:\n"
	"  --socket PATH   the server's socket; else " DEFAULT_SOCKET "\n"
	"  --timeout MS    milliseconds to connect, and again for the call; else 30000; -1 waits for ever\n"
	"  --text TEXT     the body, as it is\n"
	"  --hex DIGITS    the body, two hexadecimal digits a byte\n"
	"  --file FILE     the body is the file's content\n"
	"  --json          one JSON object, with the body as hexadecimal digits, and as text if it is text\n"
	"  --help          this text\n\n"
	"Exit: 0 SUCCESS or SUBMITTED; 1 another status; 2 the command line is wrong; 3 the server could\n"
	"not be reached or understood.\n";

static int read_stream(FILE *stream, struct call *call)
{
	size_t room = 0;

	while (call->body_size <= DRPC_MESSAGE_MAX_BYTES) {
		if (call->body_size == room) {
			size_t wanted = room == 0 ? 65536 : room * 2;
			uint8_t *body = realloc(call->body, wanted);

			if (body == NULL)
				return -ENOMEM;
			call->body = body;
			room = wanted;
		}
		call->body_size +=
			fread(call->body + call->body_size, 1, room - call->body_size, stream);
		if (ferror(stream))
			return -EIO;
		if (feof(stream))
			return 0;
	}
	return -EFBIG;
}

static int read_file(struct call *call)
{
	FILE *stream = strcmp(call->file, "-") == 0 ? stdin : fopen(call->file, "re");
	int r;

	if (stream == NULL)
		return usage_error(COMMAND, "%s: %s", call->file, strerror(errno));
	r = read_stream(stream, call);
	if (stream != stdin)
		fclose(stream);
	if (r == -ENOMEM)
		return trouble(COMMAND, "%s", strerror(-r));
	return r < 0 ? usage_error(COMMAND, "%s: %s", call->file, strerror(-r)) : 0;
}

static int read_body(struct call *call)
{
	int r;

	if ((call->text != NULL) + (call->hex != NULL) + (call->file != NULL) > 1)
		return usage_error(COMMAND, "more than one body");
	if (call->file != NULL)
		return read_file(call);
	if (call->text != NULL) {
		call->body = (uint8_t *)strdup(call->text);
		call->body_size = strlen(call->text);
		return call->body == NULL ? trouble(COMMAND, "%s", strerror(ENOMEM)) : 0;
	}
	if (call->hex == NULL)
		return 0;
	r = parse_hex(call->hex, &call->body, &call->body_size);
	if (r == -ENOMEM)
		return trouble(COMMAND, "%s", strerror(-r));
	return r < 0 ? usage_error(COMMAND, "--hex: two hexadecimal digits a byte are needed") : 0;
}

static void print_response(const struct drpc_response *response)
{
	const char *name = drpc_status_name(response->status);

	if (response->status == DRPC_STATUS_SUCCESS)
		puts("status: SUCCESS (0)");
	else
		printf("status: %s (%d): %s\n", name == NULL ? "?" : name, response->status,
			drpc_status_text(response->status));
	if (response->body_size == 0)
		return;
	if (is_printable_text(response->body, response->body_size)) {
		fputs("body, text: ", stdout);
		fwrite(response->body, 1, response->body_size, stdout);
	} else {
		fputs("body, hex: ", stdout);
		print_hex(response->body, response->body_size);
	}
	putchar('\n');
}

static void print_response_json(const struct drpc_response *response)
{
	printf("{\"status\":%d,\"name\":", response->status);
	print_json(drpc_status_name(response->status));
	printf(",\"sequence\":%lld,\"body_hex\":\"", (long long)response->sequence);
	print_hex(response->body, response->body_size);
	fputs("\",\"body_text\":", stdout);
	if (is_printable_text(response->body, response->body_size))
		print_json_bytes(response->body, response->body_size);
	else
		print_json(NULL);
	puts("}");
}

/* What went wrong on the way, with the number's own words where it has a meaning of its own here.
 */
static int explain_error(const struct call *call, int error)
{
	static const struct {
		int error;
		const char *text;
	} texts[] = {
		{ -ENOENT, "there is no such socket; is the server running?" },
		{ -ECONNREFUSED, "nobody listens there; is the server running?" },
		{ -EACCES, "the socket's mode or its directory's forbids it" },
		{ -EPROTOTYPE, "it is not the socket of such a server" },
		{ -ETIMEDOUT, "the time is up; give more with --timeout" },
		{ -ECONNRESET,
			"the server closed the connection without an answer; its log says why" },
		{ -EPROTO, "the answer cannot be understood; is it a drpc server?" },
	};

	if (error == -EMSGSIZE || error == -ENAMETOOLONG || error == -EINVAL)
		return usage_error(COMMAND, "%s",
			error == -EMSGSIZE ? "the body is too large"
					   : "the socket's path is empty or too long");
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (texts[i].error == error)
			return trouble(COMMAND, "%s: %s", call->socket, texts[i].text);
	}
	return trouble(COMMAND, "%s: %s", call->socket, drpc_error_text(error));
}

static int exchange(const struct call *call, struct drpc_response **ret_response)
{
	struct drpc_client *client = NULL;
	int r = drpc_client_new(call->socket, &client);

	if (r == 0)
		r = drpc_client_connect(client, call->timeout_ms);
	if (r == 0)
		r = drpc_client_call(client, call->module, call->method, call->body,
			call->body_size, call->timeout_ms, ret_response);
	drpc_client_free(client);
	return r;
}

static int call_and_print(struct call *call)
{
	struct drpc_response *response = NULL;
	int r = read_body(call);
	int32_t status;

	if (r != 0)
		return r;
	r = exchange(call, &response);
	if (r < 0)
		return explain_error(call, r);
	if (call->json)
		print_response_json(response);
	else
		print_response(response);
	status = response->status;
	drpc_response_free(response);
	return status == DRPC_STATUS_SUCCESS || status == DRPC_STATUS_SUBMITTED ? EXIT_DONE
										: EXIT_NO;
}

/* Returns EXIT_DONE, or EXIT_USAGE after saying why. */
static int take_option(struct call *call, int option)
{
	int64_t number;

	switch (option) {
	case 's':
		call->socket = optarg;
		return EXIT_DONE;
	case 'T':
		if (!parse_number(optarg, -1, INT32_MAX, &number))
			return usage_error(
				COMMAND, "--timeout: %s is no number of milliseconds", optarg);
		call->timeout_ms = (int)number;
		return EXIT_DONE;
	case 't':
		call->text = optarg;
		return EXIT_DONE;
	case 'x':
		call->hex = optarg;
		return EXIT_DONE;
	case 'f':
		call->file = optarg;
		return EXIT_DONE;
	case 'j':
		call->json = true;
		return EXIT_DONE;
	default:
		return usage_error(COMMAND, "wrong option");
	}
}

static int take_arguments(struct call *call, int count, char **arguments)
{
	int64_t module, method;

	if (count == 3 && strcmp(arguments[2], "-") == 0 && call->file == NULL)
		call->file = "-";
	else if (count != 2)
		return usage_error(COMMAND, "a module and a method are needed");
	if (!parse_number(arguments[0], INT32_MIN, INT32_MAX, &module) ||
		!parse_number(arguments[1], INT32_MIN, INT32_MAX, &method))
		return usage_error(
			COMMAND, "module and method are numbers from -2147483648 to 2147483647");
	call->module = (int32_t)module;
	call->method = (int32_t)method;
	return EXIT_DONE;
}

int command_call(int argc, char **argv)
{
	static const struct option options[] = {
		{ "socket", required_argument, NULL, 's' },
		{ "timeout", required_argument, NULL, 'T' },
		{ "text", required_argument, NULL, 't' },
		{ "hex", required_argument, NULL, 'x' },
		{ "file", required_argument, NULL, 'f' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct call call = { .socket = DEFAULT_SOCKET, .timeout_ms = DEFAULT_TIMEOUT_MS };
	int option, code;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'h') {
			fputs(help, stdout);
			return EXIT_DONE;
		}
		if (take_option(&call, option) != EXIT_DONE)
			return EXIT_USAGE;
	}
	code = take_arguments(&call, argc - optind, argv + optind);
	if (code == EXIT_DONE)
		code = call_and_print(&call);
	free(call.body);
	return code;
}
