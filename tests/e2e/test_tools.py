# SPDX-License-Identifier: BSD-2-Clause-Patent
"""drpcctl: what it prints for people and programs, its exit codes, and that it agrees with the daemon."""
import json
import os
import re
import subprocess
import unittest

import drpc
from daemon import (DRPCCTL, DRPCD, ECHO, FAIL, FAILWITH, HELLO, SLOW_MODULE, WAIT, Case, line_of,
                    needs_root, open_policy, policy)
from drpc import as_user

DONE, NO, USAGE, TROUBLE = range(4)
ALICE, BOB = 1501, 1502


def run(*arguments, data=b'', program=DRPCCTL):
    result = subprocess.run([program, *map(str, arguments)], input=data, capture_output=True,
                            timeout=4 * drpc.TIMEOUT, check=False,
                            env={**os.environ, 'ASAN_OPTIONS': 'detect_leaks=0'})
    return result.returncode, result.stdout, result.stderr


@unittest.skipUnless(os.path.exists(DRPCCTL), 'SKIPPED: needs drpcctl')
class ToolCase(Case):
    def check(self, arguments, status, *words, data=b''):
        """Run it; the standard output if it is done or the answer is no, else standard error."""
        code, out, err = run(*arguments, data=data)
        self.assertEqual(code, status, (arguments, out, err))
        text = (out if status in (DONE, NO) else err).decode()
        if status in (DONE, NO):
            self.assertEqual(err, b'')
        else:
            self.assertEqual(out, b'')
        for word in words:
            self.assertRegex(text, word)
        return text


class Help(ToolCase):
    def test_help_on_everything(self):
        for command in ((), ('call',), ('policy', 'check'), ('policy', 'explain')):
            text = self.check((*command, '--help'), DONE, 'Usage: drpcctl')
            self.assertIn('Exit:', text)
        code, out, _ = run('--help', program=DRPCD)
        self.assertEqual(code, DONE)
        self.assertIn(b'--policy-dir', out)

    def test_wrong_command_lines(self):
        for arguments in ((), ('nonsense',), ('policy',), ('policy', 'nonsense'), ('call', '--no-such'),
                          ('call',), ('policy', 'explain', 'hello', '0'), ('policy', 'check')):
            self.check(arguments, USAGE, 'drpcctl')


class Call(ToolCase):
    def call(self, status, *arguments, words=(), data=b''):
        return self.check(('call', '--socket', self.daemon.path, *arguments), status, *words, data=data)

    def setUp(self):
        self.daemon = self.open_daemon(modules=('hello', 'echo', 'slow'))

    def test_body_as_text_hex_file_and_standard_input(self):
        body = os.path.join(self.daemon.directory, 'body')
        with open(body, 'wb') as file:
            file.write(b'\x00\xff')
        self.call(DONE, ECHO, 0, '--text', 'hi', words=('SUCCESS', 'hi'))
        self.call(DONE, ECHO, 0, '--hex', '00FF', words=('SUCCESS', '00ff'))
        self.call(DONE, ECHO, 0, '--file', body, words=('SUCCESS', '00ff'))
        self.call(DONE, ECHO, 0, '-', words=('SUCCESS', '00ff'), data=b'\x00\xff')
        self.call(DONE, HELLO, 0, '--hex', '0a0178', words=('SUCCESS', '0a0748656c6c6f2078'))

    def test_large_body(self):
        text = self.call(DONE, ECHO, 0, '-', '--json', data=bytes(5 << 20))
        self.assertEqual(len(json.loads(text)['body_hex']), 2 * 5 << 20)

    def test_json(self):
        answer = json.loads(self.call(DONE, ECHO, 0, '--json', '--text', 'hi'))
        self.assertEqual((answer['status'], answer['name'], answer['body_hex']), (0, 'SUCCESS', b'hi'.hex()))
        answer = json.loads(self.call(NO, SLOW_MODULE, FAIL, '--json'))
        self.assertEqual((answer['status'], answer['name'], answer['body_hex']), (2, 'FAILURE', ''))

    def test_another_status_is_a_no(self):
        self.call(NO, SLOW_MODULE, FAIL, words=('FAILURE',))
        self.call(NO, 77, 0, words=('UNKNOWN_MODULE',))
        self.call(NO, ECHO, 99, words=('UNKNOWN_METHOD',))
        self.call(NO, '--', -1, -1, words=('UNKNOWN_MODULE',))
        self.call(NO, HELLO, 0, '--hex', 'ff', words=('FAILED_UNMARSHAL_PAYLOAD',))
        self.call(NO, SLOW_MODULE, FAILWITH, '--text', drpc.BUSY, words=('BUSY',))
        self.call(DONE, SLOW_MODULE, FAILWITH, '--text', drpc.SUBMITTED, words=('SUBMITTED',))

    def test_usage(self):
        for arguments in (('x', 0), (ECHO,), (ECHO, 0, '--hex', '0'), (ECHO, 0, '--hex', 'zz'),
                          (ECHO, 0, '--text', 'a', '--hex', '00'), (1 << 40, 0), (ECHO, 0, 'stray')):
            self.call(USAGE, *arguments)

    def test_no_server(self):
        self.check(('call', '--socket', '/no/such/socket', ECHO, 0), TROUBLE, '/no/such/socket')

    def test_time_that_is_up(self):
        self.call(TROUBLE, SLOW_MODULE, WAIT, '--text', 600000, '--timeout', 100, words=('time',))

    @needs_root
    def test_denials_of_calls_and_of_strangers(self):
        daemon = self.start({'echo': policy('echo', ('allow', 'a', str(ALICE), '*')),
                             'hello': policy('hello', ('allow', 'b', f'{ALICE}, {BOB}', '*'))})
        for uid, status in ((ALICE, DONE), (BOB, NO), (1503, NO)):
            code, out, _ = as_user(uid, run, 'call', '--socket', daemon.path, ECHO, 0)
            self.assertEqual(code, status, uid)
            self.assertEqual(b'PERMISSION_DENIED' in out, status == NO, out)


class PolicyCheck(ToolCase):
    def test_good_policies(self):
        daemon = self.make({'echo': open_policy('echo'), 'hello': open_policy('hello')})
        self.check(('policy', 'check', '--module-dir', daemon.module_dir, daemon.policy_dir), DONE)
        self.check(('policy', 'check', daemon.policy_file('echo')), DONE)
        answer = json.loads(self.check(('policy', 'check', '--json', daemon.policy_dir), DONE))
        self.assertEqual(answer['problems'], [])

    def test_shipped_policies(self):
        shipped = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../policy')
        directory = self.make({}).policy_dir
        for name in ('hello', 'echo'):
            with open(os.path.join(shipped, f'{name}.policy'), encoding='utf-8') as file:
                text = file.read()
            path = os.path.join(directory, f'{name}.policy')
            with open(path, 'w', encoding='utf-8') as file:
                file.write(text)
            os.chmod(path, 0o644)
        self.check(('policy', 'check', directory), DONE)

    def test_it_says_what_the_daemon_says(self):
        broken = {'echo': open_policy('echo') + 'x = y\n[permit z]\n[deny d]\ncallers = no-such-user\nmethods = *\n',
                  'hello': policy('hello', ('allow', 'a', '9-3', '*'))}
        daemon = self.make(broken)
        self.assertEqual(daemon.fails(), 1)
        said = [line.removeprefix('drpcd: ') for line in daemon.lines if line.startswith('drpcd: /')]
        self.assertGreaterEqual(len(said), 4)
        text = self.check(('policy', 'check', '--module-dir', daemon.module_dir, daemon.policy_dir), NO)
        for line in said:
            self.assertIn(line, text)
        answer = json.loads(self.check(('policy', 'check', '--json', daemon.policy_dir), NO))
        self.assertEqual(answer['problems'], said)

    def test_methods_that_the_module_has_not(self):
        daemon = self.make({'echo': policy('echo', ('allow', 'a', '*', 'nonsense'))})
        self.check(('policy', 'check', '--module-dir', daemon.module_dir, daemon.policy_dir), NO,
                   r'echo\.policy:8: .*nonsense')

    def test_needs_that_do_not_exist(self):
        for key, value in (('system-calls', 'no_such_call'), ('capabilities', 'CAP_NO_SUCH')):
            daemon = self.make({'echo': open_policy('echo', sandbox={key: value})})
            self.check(('policy', 'check', daemon.policy_dir), NO, f'(?i){value}')

    def test_a_path_that_is_not_there(self):
        path = os.path.join(self.make({}).directory, 'absent')
        code, out, err = run('policy', 'check', path)
        self.assertIn(code, (NO, TROUBLE))
        self.assertIn(path.encode(), out + err)


class PolicyExplain(ToolCase):
    RULES = (('allow', 'people', '1000-1999, %4242', 'greeting'), ('allow', 'rootly', 'root', '*'),
             ('deny', 'outsiders', '1900-1999, %6000', '*'))

    def setUp(self):
        self.text = policy('hello', *self.RULES)
        self.daemon = self.start({'hello': self.text, 'echo': policy('echo', ('allow', 'a', '*', '*'))})

    def explain(self, status, user, *arguments, words=(), groups=()):
        options = [part for group in groups for part in ('--group', group)]
        return self.check(('policy', 'explain', '--policy-dir', self.daemon.policy_dir, '--module-dir',
                           self.daemon.module_dir, '--user', user, *options, *arguments), status, *words)

    def rule(self, header):
        return f'hello\\.policy:{line_of(self.text, header)}'

    def test_allowed_names_the_rule(self):
        self.explain(DONE, 1500, 'hello', 'greeting', words=('ALLOWED', 'people', self.rule('[allow people]')))
        self.explain(DONE, 1500, 0, 0, words=('ALLOWED', 'people'))
        self.explain(DONE, 'root', 'hello', 0, words=('ALLOWED', 'rootly', self.rule('[allow rootly]')))

    def test_denied_by_a_rule(self):
        self.explain(NO, 1950, 'hello', 'greeting', words=(
            'DENIED', 'outsiders', self.rule('[deny outsiders]'), 'people', self.rule('[allow people]')))

    def test_denied_by_none_names_the_nearest_and_what_they_lack(self):
        self.explain(NO, 7000, 'hello', 'greeting', words=('DENIED', 'people', self.rule('[allow people]'), 'caller'))

    def test_groups(self):
        self.explain(NO, 7000, 'hello', 'greeting', words=('DENIED',))
        self.explain(DONE, 7000, 'hello', 'greeting', groups=(1, 4242), words=('ALLOWED', 'people'))
        self.explain(NO, 7000, 'hello', 'greeting', groups=(4242, 6000), words=('DENIED', 'outsiders'))

    def test_json(self):
        answer = json.loads(self.explain(NO, 1950, '--json', 'hello', 'greeting'))
        self.assertEqual((answer['decision'], answer['rule'], answer['line']),
                         ('deny', 'outsiders', line_of(self.text, '[deny outsiders]')))

    def test_usage(self):
        self.explain(USAGE, 'no-such-user', 'hello', 0)
        self.explain(USAGE, 1500, 'hello', 'no-such-method')
        self.explain(USAGE, 1500, 'hello')

    @needs_root
    def test_it_agrees_with_the_daemon(self):
        callers = [(0, ()), (999, ()), (1000, ()), (1500, (6000,)), (1899, ()), (1900, ()), (1999, ()), (2000, ()),
                   (2000, (4242,)), (2000, (4242, 6000)), (4242, ()), (6000, (4242,)), (65534, ()), (1500, (65534,))]
        for uid, groups in callers:
            for method in (0, 99):
                with self.subTest(uid=uid, groups=groups, method=method):
                    response = as_user(uid, drpc.call, self.daemon.path, HELLO, method, groups=groups)
                    options = [part for group in groups for part in ('--group', group)]
                    code, out, err = run('policy', 'explain', '--policy-dir', self.daemon.policy_dir, '--module-dir',
                                         self.daemon.module_dir, '--user', uid, *options, 'hello', method)
                    is_denied = response.status == drpc.PERMISSION_DENIED
                    self.assertEqual(code, NO if is_denied else DONE, (response, out, err))
                    if is_denied:
                        self.assertTrue(re.match(rb'DENIED', out), out)

    @needs_root
    def test_it_needs_no_root(self):
        code, out, err = as_user(ALICE, run, 'policy', 'explain', '--policy-dir', self.daemon.policy_dir,
                                 '--module-dir', self.daemon.module_dir, '--user', 1500, 'hello', 'greeting')
        self.assertEqual((code, out[:7]), (DONE, b'ALLOWED'), err)
        code, out, err = as_user(ALICE, run, 'policy', 'check', self.daemon.policy_dir)
        self.assertEqual(code, DONE, out + err)


if __name__ == '__main__':
    unittest.main()
