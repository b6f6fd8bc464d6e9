"""kafka-python and aiokafka: an older and a younger client written wholly in Python."""

import asyncio

from check import check, expect

NEEDS = ("venv",)
CODECS = (None, "gzip", "snappy", "lz4", "zstd")


@check("kafka-python: create, produce with every codec, consume in a group, commit", needs=NEEDS)
def kafka_python(context):
    from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
    from kafka.admin import NewTopic
    admin = KafkaAdminClient(bootstrap_servers=context.bootstrap)
    admin.create_topics([NewTopic(name="kafka-python", num_partitions=1, replication_factor=1)])
    expect("kafka-python" in admin.list_topics(), "the topic is not listed")
    for codec in CODECS:
        producer = KafkaProducer(bootstrap_servers=context.bootstrap, compression_type=codec, acks="all")
        sent = [producer.send("kafka-python", key=b"k", value=f"{codec} {n}".encode(),
                              headers=[("h", b"1")]) for n in range(100)]
        for future in sent:
            future.get(timeout=20)
        producer.close()
    reader = KafkaConsumer("kafka-python", bootstrap_servers=context.bootstrap, group_id="kafka-python",
                           auto_offset_reset="earliest", enable_auto_commit=False, consumer_timeout_ms=15000)
    values = [next(reader) for _ in range(500)]
    expect([m.value.decode() for m in values] == [f"{c} {n}" for c in CODECS for n in range(100)],
           "what came back is not what was sent")
    expect(values[0].headers == [("h", b"1")] and values[0].key == b"k", "key or header is not as sent")
    reader.commit()
    expect(reader.committed(TopicPartition("kafka-python", 0)) == 500, "the commit is not 500")
    reader.close()
    admin.close()


@check("aiokafka: produce with every codec, consume in a group, commit", needs=NEEDS)
def aiokafka(context):
    asyncio.run(aiokafka_session(context))


async def aiokafka_session(context):
    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
    from aiokafka.admin import AIOKafkaAdminClient, NewTopic
    admin = AIOKafkaAdminClient(bootstrap_servers=context.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic("aiokafka", 1, 1)])
    await admin.close()
    for codec in CODECS:
        producer = AIOKafkaProducer(bootstrap_servers=context.bootstrap, compression_type=codec,
                                    enable_idempotence=True)
        await producer.start()
        sent = [await producer.send("aiokafka", f"{codec} {n}".encode(), partition=0) for n in range(100)]
        await asyncio.wait_for(asyncio.gather(*sent), 20)
        await producer.stop()
    reader = AIOKafkaConsumer("aiokafka", bootstrap_servers=context.bootstrap, group_id="aiokafka",
                              auto_offset_reset="earliest", enable_auto_commit=False)
    await reader.start()
    values = [(await asyncio.wait_for(reader.getone(), 20)).value.decode() for _ in range(500)]
    expect(values == [f"{c} {n}" for c in CODECS for n in range(100)], "what came back is not what was sent")
    await reader.commit()
    expect(await reader.committed(TopicPartition("aiokafka", 0)) == 500, "the commit is not 500")
    await reader.stop()
