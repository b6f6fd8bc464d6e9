// One producer and one consumer in a group: sends a record to `orders` and prints what arrives there.
const { Kafka } = require('kafkajs')

const brokers = (process.env.KAFKA_BROKERS || 'localhost:9092').split(',')
const kafka = new Kafka({ clientId: 'app', brokers })

const producer = kafka.producer()
const consumer = kafka.consumer({ groupId: 'order-group' })

async function produce() {
  await producer.connect()
  await producer.send({ topic: 'orders', messages: [{ value: 'New Order Created' }] })
  console.log('sent')
}

async function consume() {
  await consumer.connect()
  await consumer.subscribe({ topic: 'orders', fromBeginning: true })
  await consumer.run({
    eachMessage: async ({ topic, partition, message }) => {
      console.log(`received from ${topic}-${partition} at offset ${message.offset}: ${message.value}`)
    },
  })
}

async function stop() {
  await consumer.disconnect()
  await producer.disconnect()
}

process.once('SIGINT', stop)
process.once('SIGTERM', stop)

produce()
  .then(consume)
  .catch((error) => {
    console.error(error)
    process.exit(1)
  })
