# SPDX-License-Identifier: BSD-2-Clause-Patent
"""May they: rules, what the log says of a denial, and policies that refuse the start."""
import itertools
import os
import subprocess
import unittest

import drpc
from daemon import (COUNT, ECHO, HELLO, RELEASE, SLOW_MODULE, Case, json_lines, line_of, needs_root,
                    open_policy, parse_line, policy)
from drpc import as_user

ALICE, BOB = 1501, 1502
ME = os.getuid()
MY_GID = os.getgid()


def call_status(path, module, method, body=b''):
    return drpc.call(path, module, method, body).status


@needs_root
class Rules(Case):
    def check(self, rules, expected, module='echo', method=0):
        """@expected: uid or (uid, gid, groups) to a status."""
        daemon = self.start({module: policy(module, *rules)})
        for who, status in expected.items():
            uid, gid, groups = who if isinstance(who, tuple) else (who, who, ())
            self.assertEqual(status, as_user(uid, call_status, daemon.path, ECHO if module == 'echo' else
                                             SLOW_MODULE, method, gid=gid, groups=groups), who)
        daemon.stop()

    def test_range_has_both_ends_and_no_more(self):
        self.check([('allow', 'r', '2000-2999', '*')], {1999: 8, 2000: 0, 2500: 0, 2999: 0, 3000: 8, 0: 8})

    def test_anyone_is_anyone(self):
        self.check([('allow', 'r', '*', '*')], {0: 0, 1: 0, ALICE: 0, 65533: 0, 4000000000: 0})

    def test_a_list_is_an_or(self):
        self.check([('allow', 'r', f'root, {ALICE}, 5000-5001, %77', '*')],
                   {0: 0, ALICE: 0, 5000: 0, 5001: 0, 5002: 8, (BOB, 77, ()): 0, (BOB, 1, (77,)): 0, BOB: 8})

    def test_users_by_name(self):
        self.check([('allow', 'r', 'daemon, root', '*')], {0: 0, 1: 0, 2: 8})

    def test_root_has_no_bypass(self):
        self.check([('allow', 'r', str(ALICE), '*')], {0: 8, (0, 0, (ALICE,)): 8, ALICE: 0})

    def test_root_can_be_denied(self):
        self.check([('allow', 'r', '*', '*'), ('deny', 'd', '0', '*')], {0: 8, ALICE: 0})

    def test_deny_of_every_method_wins_whatever_the_order(self):
        rules = [('allow', 'everybody', '*', '*'), ('allow', 'alice', str(ALICE), 'echo'),
                 ('deny', 'not-alice', str(ALICE), '*')]
        for order in itertools.permutations(rules):
            self.check(order, {ALICE: 8, BOB: 0})

    def test_deny_of_one_method_wins_whatever_the_order_and_leaves_the_others(self):
        rules = [('allow', 'everybody', '*', '*'), ('allow', 'counters', str(ALICE), 'count'),
                 ('deny', 'not-alice', str(ALICE), 'count')]
        for order in itertools.permutations(rules):
            daemon = self.start({'slow': policy('slow', *order)})
            for uid, method, status in ((ALICE, COUNT, 8), (ALICE, RELEASE, 0), (BOB, COUNT, 0)):
                self.assertEqual(as_user(uid, call_status, daemon.path, SLOW_MODULE, method), status, order)
            daemon.stop()

    def test_methods_by_id_and_by_name(self):
        for methods in ('count, release', '3, 5', 'count, 5'):
            daemon = self.start({'slow': policy('slow', ('allow', 'a', '*', methods))})
            for method, status in ((COUNT, 0), (5, 0), (1, 8), (0, 8)):
                self.assertEqual(call_status(daemon.path, SLOW_MODULE, method), status, (methods, method))
            daemon.stop()

    def test_rules_of_one_module_do_not_count_for_another(self):
        daemon = self.start({'echo': policy('echo', ('allow', 'a', str(ALICE), '*')),
                             'hello': policy('hello', ('allow', 'a', str(BOB), '*'))})
        for uid, module, status in ((ALICE, ECHO, 0), (ALICE, HELLO, 8), (BOB, ECHO, 8), (BOB, HELLO, 0)):
            self.assertEqual(as_user(uid, call_status, daemon.path, module, 0), status)


class UnknownMethods(Case):
    def test_only_who_may_call_every_method_learns_that_there_is_no_such_one(self):
        daemon = self.start({'echo': open_policy('echo'), 'slow': policy('slow', ('allow', 'a', '*', 'count'))})
        with daemon.connect() as connection:
            self.assertEqual(connection.call(ECHO, 99).status, drpc.UNKNOWN_METHOD)
            self.assertEqual(connection.call(SLOW_MODULE, 99).status, drpc.PERMISSION_DENIED)
            self.assertEqual(connection.call(SLOW_MODULE, COUNT).status, drpc.SUCCESS)

    def test_a_denied_call_has_no_payload_decoded(self):
        daemon = self.start({'echo': open_policy('echo'), 'hello': policy('hello', ('allow', 'a', '3999', '*'))})
        response = daemon.call(HELLO, 0, b'\xff\xff\xff')
        self.assertEqual(response, (1, drpc.PERMISSION_DENIED, b''))

    def test_a_denial_leaves_the_session_open(self):
        daemon = self.start({'echo': open_policy('echo'), 'hello': policy('hello', ('allow', 'a', '3999', '*'))})
        with daemon.connect() as connection:
            for _ in range(3):
                self.assertEqual(connection.call(HELLO, 0).status, drpc.PERMISSION_DENIED)
                self.assert_works(connection)


DENY_KEYS = ['uid', 'gid', 'pid', 'module', 'method', 'rule', 'file', 'reason', 'sequence']


class Log(Case):
    def start_with_denials(self, *options):
        self.text = policy('slow', ('allow', 'counters', '*', 'count'), ('deny', 'nobody-fails', '*', 'fail'))
        return self.start({'echo': open_policy('echo'), 'slow': self.text}, *options)

    def check_denial(self, pairs, method, rule, file, sequence):
        expected = {'uid': ME, 'gid': MY_GID, 'pid': os.getpid(), 'module': 'slow', 'method': method, 'rule': rule,
                    'file': file, 'sequence': sequence}
        self.assertEqual({key: str(pairs[key]) for key in expected},
                         {key: str(value) for key, value in expected.items()})
        self.assertEqual([key for key in pairs if key in DENY_KEYS], DENY_KEYS)

    def test_a_denial_names_everything(self):
        daemon = self.start_with_denials()
        with daemon.connect() as connection:
            connection.call(SLOW_MODULE, 8, sequence=42)
            connection.call(SLOW_MODULE, 5, sequence=-43)
            connection.call(SLOW_MODULE, 99, sequence=44)
        file = daemon.policy_file('slow')
        line = line_of(self.text, '[deny nobody-fails]')
        self.check_denial(daemon.wait_for_pairs('^deny .*method=fail'), 'fail', 'nobody-fails', f'{file}:{line}', 42)
        pairs = daemon.wait_for_pairs('^deny .*method=release')
        self.check_denial(pairs, 'release', '-', file, -43)
        self.assertEqual(pairs['reason'], 'no rule allows')
        self.check_denial(daemon.wait_for_pairs('^deny .*method=99'), '99', '-', file, 44)

    def test_json_has_the_same_keys_and_values(self):
        text, json = self.start_with_denials(), self.start_with_denials('--log', 'json')
        for daemon in (text, json):
            with daemon.connect() as connection:
                connection.call(SLOW_MODULE, 8, sequence=42)
                connection.call(SLOW_MODULE, 5)
                connection.send_raw(b'x')
                self.assert_ended(connection)
        text.wait_for_log('^close')
        json.wait_for_log('"close"')
        text.stop(), json.stop()
        lines = [parse_line(line) for line in text.lines]
        objects = json_lines(json)
        self.assertEqual([line[0] for line in lines], [entry['event'] for entry in objects])
        for (_, pairs), entry in zip(lines, objects):
            del entry['event']
            self.assertEqual(list(pairs), list(entry))
            same = {key for key in pairs if key not in ('pid', 'socket', 'file')}
            self.assertEqual({key: pairs[key] for key in same}, {key: str(entry[key]) for key in same})
        self.assertIsInstance(objects[1]['uid'], int)
        self.assertIsInstance(objects[1]['sequence'], int)

    def test_repeats_are_counted_not_printed(self):
        daemon = self.start_with_denials()
        with daemon.connect() as connection:
            for _ in range(500):
                self.assertEqual(connection.call(SLOW_MODULE, 8).status, drpc.PERMISSION_DENIED)
        daemon.stop()
        denials = daemon.find('^deny .*method=fail')
        counts = [int(parse_line(line)[1]['count']) for line in daemon.find(f'^repeat uid={ME} ')]
        self.assertLess(len(denials), 20)
        self.assertEqual(len(denials) + sum(counts), 500)

    def test_a_caller_cannot_fill_the_log_with_different_denials(self):
        daemon = self.start_with_denials()
        with daemon.connect() as connection:
            for method in range(100, 1100):
                connection.call(SLOW_MODULE, method)
        daemon.stop()
        counts = [int(parse_line(line)[1]['count']) for line in daemon.find('^repeat ')]
        self.assertLess(len(daemon.find('^deny')), 200)
        self.assertEqual(len(daemon.find('^deny')) + sum(counts), 1000)

    @needs_root
    def test_one_uids_repeats_hide_no_other_uids_denial(self):
        daemon = self.start_with_denials()
        for _ in range(3):
            for uid in (ALICE, BOB):
                as_user(uid, call_status, daemon.path, SLOW_MODULE, 8)
        daemon.wait_for_log(f'^deny uid={ALICE} ')
        daemon.wait_for_log(f'^deny uid={BOB} ')

    def test_calls_are_logged_on_request_only(self):
        for options, count in (((), 0), (('--log-calls', 'yes'), 3)):
            daemon = self.start_with_denials(*options)
            for _ in range(3):
                self.assertEqual(daemon.call(ECHO, 0).status, drpc.SUCCESS)
            daemon.stop()
            calls = daemon.find('^call ')
            self.assertEqual(len(calls), count)
            for line in calls:
                pairs = parse_line(line)[1]
                self.assertEqual((pairs['module'], pairs['method'], pairs['status']), ('echo', 'echo', 'SUCCESS'))

    def test_what_a_caller_sends_cannot_forge_a_line(self):
        daemon = self.open_daemon(modules=('slow',))
        daemon.call(SLOW_MODULE, 9, b'2\nready uid=0 "')
        line = daemon.wait_for_log('^fail .*told to')
        self.assertIn(r'\x0a', line)
        self.assertEqual(len(daemon.find('^ready')), 1)


class Refused(Case):
    """Every doubt refuses the whole file, and a refused file the start."""

    BROKEN = '''[module]
name = echo
id = 1001
library = echo.so
colour = green
[allow a]
callers = no-such-user, 30-20
methods = echo, nonsense
[allow a]
methods = *
[allow empty]
callers =
methods = *
[permit x]
callers = *
'''

    def check_refused(self, policies, *patterns, options=(), **kwargs):
        daemon = self.make(policies, *options, **kwargs)
        self.assertEqual(daemon.fails(), 1, daemon.log())
        for pattern in patterns:
            self.assertTrue(daemon.find(pattern), f'no {pattern!r} in\n{daemon.log()}')
        self.assertEqual(daemon.find('^ready'), [])
        self.assertFalse(os.path.lexists(daemon.path), 'there is a socket')
        return daemon

    def test_all_problems_of_a_file_are_reported_with_their_lines(self):
        for options in ((), ('--check',)):
            self.check_refused(
                {'echo': self.BROKEN}, r'echo\.policy:5: .*colour', r'echo\.policy:7: .*no-such-user',
                r'echo\.policy:7: .*30-20', r'echo\.policy:9: .*line 6', r'echo\.policy:12: ',
                r'echo\.policy:14: .*permit',
                options=options)

    def test_problems_of_all_files_are_reported(self):
        self.check_refused({'echo': self.BROKEN, 'hello': open_policy('hello') + '[deny d]\n'},
                           r'echo\.policy:5: ', r'hello\.policy:\d+: ')

    def test_one_refused_file_is_enough(self):
        self.check_refused({'echo': open_policy('echo'), 'hello': open_policy('hello') + 'x = y\n'},
                           r'hello\.policy:')

    def test_method_that_the_module_has_not(self):
        self.check_refused({'echo': policy('echo', ('allow', 'a', '*', 'greeting'))},
                           r'echo\.policy:8: .*no method greeting.*echo \(0\)')

    def test_unknown_user_in_a_deny_rule(self):
        self.check_refused({'echo': policy('echo', ('allow', 'a', '*', '*'), ('deny', 'd', 'no-such-user', '*'))},
                           r'echo\.policy:11: .*no-such-user')

    def test_two_files_with_one_id(self):
        self.check_refused({'echo': open_policy('echo'), 'other': open_policy('echo')},
                           r'(echo|other)\.policy:\d+: .*(echo|other)\.policy')

    def test_a_directory_without_policies(self):
        self.check_refused({}, 'no .policy file')

    def test_files_that_others_may_write(self):
        daemon = self.make({'echo': open_policy('echo')})
        for mode in (0o664, 0o646, 0o666):
            os.chmod(daemon.policy_file('echo'), mode)
            self.assertEqual(daemon.fails(), 1)
            self.assertTrue(daemon.find(r'echo\.policy'), daemon.log())

    def test_directories_that_others_may_write(self):
        daemon = self.make({'echo': open_policy('echo')})
        for directory in (daemon.policy_dir, daemon.module_dir, daemon.directory):
            os.chmod(directory, 0o777)
            self.assertEqual(daemon.fails(), 1, directory)
            self.assertTrue(daemon.find(directory), daemon.log())
            os.chmod(directory, 0o755)

    @needs_root
    def test_files_of_somebody_else(self):
        daemon = self.make({'echo': open_policy('echo')})
        os.chown(daemon.policy_file('echo'), ALICE, 0)
        self.assertEqual(daemon.fails(), 1)
        self.assertTrue(daemon.find(r'echo\.policy'), daemon.log())

    def test_a_link_is_no_policy(self):
        daemon = self.make({'echo': open_policy('echo')})
        real = os.path.join(daemon.directory, 'real')
        os.rename(daemon.policy_file('echo'), real)
        os.symlink(real, daemon.policy_file('echo'))
        self.assertEqual(daemon.fails(), 1)
        self.assertTrue(daemon.find(r'echo\.policy'), daemon.log())

    def test_a_fifo_is_no_policy_and_holds_up_nobody(self):
        daemon = self.make({'echo': open_policy('echo')})
        os.mkfifo(daemon.policy_file('fifo'), 0o644)
        self.assertEqual(daemon.fails(), 1)

    def test_a_file_above_1_mib(self):
        self.check_refused({'echo': open_policy('echo') + '; comment\n' * 110000}, r'echo\.policy')

    def test_a_module_that_is_not_there(self):
        self.check_refused({'echo': open_policy('echo')}, r'echo\.so', modules=())

    def test_a_library_with_a_slash(self):
        self.check_refused({'echo': open_policy('echo', library='../modules/echo.so')}, r'echo\.policy:4: ')

    def test_check_starts_nothing(self):
        daemon = self.make({'echo': open_policy('echo')}, '--check')
        self.assertEqual(daemon.fails(), 0)
        self.assertEqual(daemon.lines, [])
        self.assertFalse(os.path.lexists(daemon.path))

    def test_check_disturbs_no_running_daemon(self):
        daemon = self.start({'echo': open_policy('echo')})
        result = subprocess.run([*daemon.command, '--check'], env=daemon._environment(), timeout=drpc.TIMEOUT,
                                check=False)
        self.assertEqual(result.returncode, 0)
        self.assertEqual(daemon.call(ECHO, 0).status, drpc.SUCCESS)

    def test_wrong_options_are_usage_errors(self):
        for options in (('--no-such-option',), ('--threads', 'many'), ('--sandbox', 'maybe'), ('stray',),
                        ('--threads',), ('--socket-mode', '9')):
            daemon = self.make({'echo': open_policy('echo')}, *options)
            self.assertEqual(daemon.fails(), 2, options)
            self.assertIn('drpcd: ', daemon.log())

    @needs_root
    def test_root_must_say_who_to_become(self):
        daemon = self.make({'echo': open_policy('echo')}, user=False)
        self.assertEqual(daemon.fails(), 1)
        self.assertTrue(daemon.find('--user'), daemon.log())

    @needs_root
    def test_user_that_does_not_exist(self):
        daemon = self.make({'echo': open_policy('echo')}, '--user', 'no-such-user')
        self.assertEqual(daemon.fails(), 1)
        self.assertTrue(daemon.find('no-such-user'), daemon.log())

    def test_options_in_a_file(self):
        daemon = self.make({'echo': open_policy('echo')},
                           files={'drpcd.conf': '[drpcd]\nlog = json\nlog-calls = yes\n'})
        daemon.command += ['--config', os.path.join(daemon.directory, 'drpcd.conf')]
        daemon.start()
        self.addCleanup(daemon.stop)
        daemon.call(ECHO, 0)
        daemon.wait_for_log('"event":"call"')

    def test_problems_of_the_configuration_file(self):
        daemon = self.make({'echo': open_policy('echo')}, files={'drpcd.conf': '[drpcd]\nlog = xml\nthread = 1\n'})
        daemon.command += ['--config', os.path.join(daemon.directory, 'drpcd.conf')]
        self.assertEqual(daemon.fails(), 2)
        self.assertTrue(daemon.find(r'drpcd\.conf:2: '), daemon.log())
        self.assertTrue(daemon.find(r'drpcd\.conf:3: '), daemon.log())


if __name__ == '__main__':
    unittest.main()
