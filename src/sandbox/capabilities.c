/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Capabilities: receives the names that modules asked for; hands on a thread that has those and no
 * way to any other.
 */
#include "sandbox/capabilities.h"

#include <errno.h>
#include <linux/securebits.h>
#include <strings.h>
#include <sys/capability.h>

#include "sandbox/failure.h"

/* Root is no better than anyone: its uid gives no capability, and nothing changes that again. */
#define SECUREBITS                                                                                 \
	(SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |                           \
		SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |                          \
		SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)

static void cleanup_caps(cap_t *caps)
{
	cap_free(*caps);
}

#define AUTO_CAPS __attribute__((cleanup(cleanup_caps)))

/* libcap also takes numbers; a policy names what it asks for. */
static bool capability_lookup(const char *name, uint64_t *set)
{
	cap_value_t value;

	if (strncasecmp(name, "cap_", 4) != 0 || cap_from_name(name, &value) < 0 ||
		value >= cap_max_bits())
		return false;
	*set |= capability_bit(value);
	return true;
}

bool capability_exists(const char *name)
{
	uint64_t ignored = 0;

	return capability_lookup(name, &ignored);
}

int capabilities_from_needs(const struct drpc_policy_needs *const *needs, size_t need_count,
	struct drpc_problems *problems, uint64_t *ret_set)
{
	uint64_t set = 0;
	int r = 0;

	for (size_t i = 0; i < need_count; i++) {
		for (const char *const *name = needs[i]->capabilities; *name != NULL; name++) {
			if (capability_lookup(*name, &set))
				continue;
			drpc_problems_add(problems, NULL, 0,
				"capability '%s' is unknown to this kernel; capabilities(7) lists them",
				*name);
			r = -EINVAL;
		}
	}
	if (r == 0)
		*ret_set = set;
	return r;
}

static int caps_flag(cap_t caps, cap_flag_t flag, uint64_t *ret_set)
{
	uint64_t set = 0;

	for (cap_value_t value = 0; value < cap_max_bits(); value++) {
		cap_flag_value_t is_set;

		if (cap_get_flag(caps, value, flag, &is_set) < 0)
			return -errno;
		if (is_set == CAP_SET)
			set |= capability_bit(value);
	}
	*ret_set = set;
	return 0;
}

int capabilities_permitted(uint64_t *ret_set)
{
	AUTO_CAPS cap_t caps = cap_get_proc();

	if (caps == NULL)
		return -errno;
	return caps_flag(caps, CAP_PERMITTED, ret_set);
}

/* The thread's three sets at once; inheritable is always empty. */
static int caps_set(uint64_t permitted, uint64_t effective)
{
	AUTO_CAPS cap_t caps = cap_init();

	if (caps == NULL)
		return -errno;
	for (cap_value_t value = 0; value < cap_max_bits(); value++) {
		if ((permitted & capability_bit(value)) &&
			cap_set_flag(caps, CAP_PERMITTED, 1, &value, CAP_SET) < 0)
			return -errno;
		if ((effective & capability_bit(value)) &&
			cap_set_flag(caps, CAP_EFFECTIVE, 1, &value, CAP_SET) < 0)
			return -errno;
	}
	return cap_set_proc(caps) < 0 ? -errno : 0;
}

static int bounding_empty(void)
{
	for (cap_value_t value = 0; value < cap_max_bits(); value++) {
		if (cap_get_bound(value) > 0 && cap_drop_bound(value) < 0)
			return -errno;
	}
	return 0;
}

/* What needs CAP_SETPCAP, which this raises for as long as it takes. */
static int roads_back_close(uint64_t permitted, struct drpc_problems *problems)
{
	int r;

	r = caps_set(permitted, capability_bit(CAP_SETPCAP));
	if (r < 0)
		return failure_add(problems, "raise CAP_SETPCAP", r);
	r = bounding_empty();
	if (r < 0)
		return failure_add(problems, "empty the capability bounding set", r);
	if (cap_set_secbits(SECUREBITS) < 0)
		return failure_errno(problems, "lock the securebits");
	return 0;
}

static int caps_verify(uint64_t keep, bool bounding)
{
	AUTO_CAPS cap_t caps = cap_get_proc();
	uint64_t permitted, effective, inheritable;

	if (caps == NULL)
		return -errno;
	if (caps_flag(caps, CAP_PERMITTED, &permitted) < 0 ||
		caps_flag(caps, CAP_EFFECTIVE, &effective) < 0 ||
		caps_flag(caps, CAP_INHERITABLE, &inheritable) < 0)
		return -EINVAL;
	if (permitted != keep || effective != keep || inheritable != 0)
		return -EPERM;
	for (cap_value_t value = 0; value < cap_max_bits(); value++) {
		if (cap_get_ambient(value) > 0 || (bounding && cap_get_bound(value) > 0))
			return -EPERM;
	}
	return 0;
}

static void absent_report(uint64_t absent, struct drpc_problems *problems)
{
	for (cap_value_t value = 0; value < cap_max_bits(); value++) {
		char *name;

		if (!(absent & capability_bit(value)))
			continue;
		name = cap_to_name(value);
		drpc_problems_add(problems, NULL, 0,
			"capability %s is asked for, but this process does not have it; start as root "
			"with it",
			name != NULL ? name : "(out of memory)");
		cap_free(name);
	}
}

int capabilities_keep(uint64_t keep, struct drpc_problems *problems, bool *ret_bounding_missing)
{
	uint64_t permitted;
	bool bounding;
	int r;

	r = capabilities_permitted(&permitted);
	if (r < 0)
		return failure_add(problems, "read the capabilities", r);
	if (keep & ~permitted) {
		absent_report(keep & ~permitted, problems);
		return -EPERM;
	}
	bounding = permitted & capability_bit(CAP_SETPCAP);
	if (bounding) {
		r = roads_back_close(permitted, problems);
		if (r < 0)
			return r;
	}
	if (cap_reset_ambient() < 0)
		return failure_errno(problems, "empty the ambient capabilities");
	r = caps_set(keep, keep);
	if (r < 0)
		return failure_add(problems, "drop capabilities", r);
	r = caps_verify(keep, bounding);
	if (r < 0)
		return failure_add(problems, "verify that the capabilities are dropped", r);
	*ret_bounding_missing = !bounding;
	return 0;
}
