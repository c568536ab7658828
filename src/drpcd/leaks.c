/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Leaks: in builds with AddressSanitizer, LeakSanitizer looks for leaks when the process ends, and
 * would stop all threads with ptrace to do so, which the sandbox forbids. Receives its question
 * whether to; hands on no. Leaks are found by the unit tests, which have no sandbox.
 */
#if defined(__SANITIZE_ADDRESS__)
#define HAS_LEAK_CHECK
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_LEAK_CHECK
#endif
#endif

#ifdef HAS_LEAK_CHECK
int __lsan_is_turned_off(void);

__attribute__((visibility("default"))) int __lsan_is_turned_off(void)
{
	return 1;
}
#endif
