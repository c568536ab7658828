/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Module bad_symbol: a shared object that is no module. */
extern const int some_other_symbol;
__attribute__((visibility("default"))) const int some_other_symbol = 1;
