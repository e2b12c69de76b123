# ruby_redis.rb: redis-rb of Debian: RESP2. Its cluster client asks the server for COMMAND and looks
# commands up by the name as the server spells it: FLASH.GET, but get.

require 'json'
require 'redis'

def answer_of(error)
  # An error of the server is an answer, anything else a failure of the connection.
  error.is_a?(Redis::CommandError) ? { error: error.message } : { failure: error.message }
end

def spelled(args)
  name, *rest = args
  [name.start_with?('FLASH.') ? name : name.downcase, *rest]
end

client = nil
verbs = {
  'facts' => ->(_) { { resp: [2], cluster: true } },
  'open' => lambda do |request|
    options = request['timeout_ms'] ? { timeout: request['timeout_ms'] / 1000.0 } : {}
    options[:reconnect_attempts] = 0
    address = "redis://127.0.0.1:#{request['port']}"
    client = Redis.new(**options, **(request['cluster'] ? { cluster: [address] } : { url: address }))
    { reply: 'open' }
  end,
  'call' => ->(request) { { reply: client.call(*spelled(request['args'])) } },
  'pipeline' => lambda do |request|
    # Raises the first error among the replies, once all have been read.
    values = client.pipelined do |pipe|
      request['commands'].each { |args| pipe.call(*spelled(args)) }
    end
    { replies: values.map { |value| { reply: value } } }
  end,
  'close' => lambda do |_|
    client.close
    { reply: 'closed' }
  end
}

$stdin.each_line do |line|
  request = JSON.parse(line)
  begin
    answer = verbs.fetch(request['do']).call(request)
  rescue Redis::BaseError => e
    answer = answer_of(e)
  end
  puts JSON.generate(answer)
  $stdout.flush
end
