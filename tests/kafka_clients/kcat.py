"""kcat, as people use it in a shell: metadata, records, offsets, groups. Debian's is built on a librdkafka of 2023."""
import json
import subprocess

from checks import BOOTSTRAP, CODECS, PATIENCE, check, equal, name, run


def kcat(*arguments, given=""):
    done = subprocess.run(["kcat", "-b", BOOTSTRAP, *arguments], input=given, capture_output=True, text=True, timeout=PATIENCE, check=False)
    check(f"kcat {' '.join(arguments[:1])} ends well", done.returncode == 0, done.stderr)
    return done.stdout


def lines(count, first=0):
    return "".join(f"{number}\n" for number in range(first, first + count))


def auto_creation():
    topic = name("made")
    kcat("-P", "-t", topic, given="first\n")
    equal("a topic is made by the first record", kcat("-C", "-e", "-q", "-t", topic), "first\n")


def records():
    topic = name("records")
    for number, codec in enumerate(CODECS):
        kcat("-P", "-t", topic, "-p", "0", "-z", codec, given=lines(100, number * 100))
    equal("all codecs", kcat("-C", "-e", "-q", "-t", topic), lines(500))
    equal("from an offset", kcat("-C", "-e", "-q", "-t", topic, "-p", "0", "-o", "250"), lines(250, 250))
    equal("the last ones", kcat("-C", "-e", "-q", "-t", topic, "-p", "0", "-o", "-3"), lines(3, 497))
    equal("so many", kcat("-C", "-q", "-t", topic, "-p", "0", "-o", "10", "-c", "2"), lines(2, 10))
    equal("a range of offsets", kcat("-C", "-e", "-q", "-t", topic, "-p", "0", "-o", "100", "-c", "1", "-f", "%o %s"), "100 100")


def keys_and_headers():
    topic = name("keys")
    kcat("-P", "-t", topic, "-K", ":", "-H", "one=1", "-H", "two=2", given="key:value\n")
    kcat("-P", "-t", topic, "-K", ":", "-Z", given="tombstone:\n")
    first, second = [json.loads(line) for line in kcat("-C", "-e", "-q", "-J", "-t", topic).splitlines()]
    equal("key and value", (first["key"], first["payload"], first["headers"]), ("key", "value", ["one", "1", "two", "2"]))
    equal("a null value", (second["key"], second["payload"]), ("tombstone", None))
    check("a time", first["tstype"] == "create" and first["ts"] > 1_700_000_000_000, first)


def metadata():
    topic = name("listed")
    kcat("-P", "-t", topic, given="x\n")
    told = json.loads(kcat("-L", "-J", "-t", topic))
    equal("the topic", [(found["topic"], len(found["partitions"]) > 0) for found in told["topics"]], [(topic, True)])
    check("its leader is a broker", told["topics"][0]["partitions"][0]["leader"] in [broker["id"] for broker in told["brokers"]], told)
    check("all topics", topic in [found["topic"] for found in json.loads(kcat("-L", "-J"))["topics"]])


def offsets_for_times():
    topic = name("times")
    kcat("-P", "-t", topic, "-p", "0", given=lines(5))
    first, third = [json.loads(line)["ts"] for line in kcat("-C", "-e", "-q", "-J", "-t", topic).splitlines()][::2][:2]
    check("times do not fall", first <= third, (first, third))
    equal("the beginning", kcat("-Q", "-t", f"{topic}:0:{first}").split(), [topic, "[0]", "offset", "0"])
    equal("the end", kcat("-Q", "-t", f"{topic}:0:-1").split(), [topic, "[0]", "offset", "5"])
    equal("from a time on", kcat("-C", "-e", "-q", "-t", topic, "-p", "0", "-o", f"s@{first}"), lines(5))


def groups():
    topic, group = name("group"), name("group")
    kcat("-P", "-t", topic, "-p", "0", given=lines(10))
    options = ("-q", "-X", "auto.offset.reset=earliest", "-X", "session.timeout.ms=6000")
    equal("a group reads", kcat("-G", group, "-c", "6", *options, topic), lines(6))
    equal("and goes on", kcat("-G", group, "-c", "4", *options, topic), lines(4, 6))


def transactions():
    topic = name("transactions")
    kcat("-P", "-t", topic, "-X", f"transactional.id={name('kcat')}", given=lines(10))
    equal("read_committed", kcat("-C", "-e", "-q", "-t", topic, "-X", "isolation.level=read_committed"), lines(10))


run(auto_creation, records, keys_and_headers, metadata, offsets_for_times, groups, transactions)
