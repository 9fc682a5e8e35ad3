#!/usr/bin/env python3
"""The load generator ends with a failure when a broker answers wrongly: a proxy before a good one makes it a bad one.

usage: tests/bench/wrong_answers.py LOADGEN
"""
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'tests/lib'))
import broker as brokers  # noqa: E402
import picture  # noqa: E402

TOPIC = 'wrong'
ERROR_AT = 4 + 1 + 1 + (1 + len(TOPIC)) + 1 + 4  # in an answer to Produce 12 with one partition
OFFSET_AT = ERROR_AT + 2
LOADGEN = sys.argv[1]


def as_it_is(answer, index):
    return answer


def with_error(answer, index):
    return answer[:ERROR_AT] + struct.pack('>h', 56) + answer[OFFSET_AT:] if index == 5 else answer


def offset_twice(answer, index):
    return answer[:OFFSET_AT] + struct.pack('>q', 3) + answer[OFFSET_AT + 8:] if index == 4 else answer


def other_correlation(answer, index):
    return struct.pack('>i', 77) + answer[4:] if index == 5 else answer


def closed(answer, index):
    return None if index == 5 else answer


def flipped(answer, index):
    """In the value of the last record: only the CRC tells."""
    at = answer.rindex(b'ahov')
    return answer[:at] + bytes([answer[at] ^ 1]) + answer[at + 1:]


def receive(sock, size):
    data = b''
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def frame_of(sock):
    return receive(sock, struct.unpack('>i', receive(sock, 4))[0])


def serve(client, port, change):
    """One request and its answer after the other."""
    with client, socket.create_connection(('127.0.0.1', port)) as broker:
        for index in range(1 << 30):
            try:
                request = frame_of(client)
                broker.sendall(struct.pack('>i', len(request)) + request)
                answer = change(frame_of(broker), index)
                if answer is None:
                    return
                client.sendall(struct.pack('>i', len(answer)) + answer)
            except (EOFError, OSError):
                return


def run(broker, change, mode, **options):
    """The load generator's failure, or nothing."""
    with socket.create_server(('127.0.0.1', 0)) as listener:
        def accept():
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(client, broker.port, change), daemon=True).start()
        threading.Thread(target=accept, daemon=True).start()
        command = [LOADGEN, mode, '--topic', TOPIC, '--port', str(listener.getsockname()[1])]
        for name, value in options.items():
            command += ['--' + name.replace('_', '-'), str(value)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        listener.shutdown(socket.SHUT_RDWR)
    return done.stderr.strip() if done.returncode == 1 else '' if done.returncode == 0 else f'exit code {done.returncode}'


def failures(broker):
    client = picture.Client(broker)
    writing = [(as_it_is, ''), (with_error, 'error 56'), (offset_twice, 'not one after the other'),
               (other_correlation, 'to request 77'), (closed, 'closed a connection')]
    for change, expected in writing:
        client.create(TOPIC)
        yield f'produce {change.__name__}', expected, run(broker, change, 'produce', requests=20)
        client.call('DeleteTopics', 5, {'topic_names': [TOPIC], 'timeout_ms': 30000})
    client.create(TOPIC)
    yield 'produce', '', run(broker, as_it_is, 'produce', requests=20)
    reading = [(as_it_is, 20, ''), (as_it_is, 21, '20 records were read of 21'), (flipped, 20, 'CRC')]
    for change, expect, expected in reading:
        yield f'fetch {change.__name__} {expect}', expected, run(broker, change, 'fetch', expect=expect, check_every=1)
    client.close()


def main():
    wrong = 0
    with tempfile.TemporaryDirectory(prefix='odradek-wrong-') as directory:
        broker = brokers.Odradek(directory).start()
        try:
            for name, expected, said in failures(broker):
                ok = expected in said if expected else not said
                print(f'{"ok" if ok else "FAILED"}: {name}: {said or "no failure"}')
                wrong += not ok
        finally:
            wrong += broker.stop() != 0
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
