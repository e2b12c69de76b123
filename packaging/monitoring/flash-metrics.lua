#!lua flags=no-writes,allow-stale
-- flash-metrics.lua: every field of INFO flash as a number, for prometheus-redis-exporter --script.
--
-- The exporter turns each pair into redis_script_values{key="flash_..."}. Numbers pass as they are;
-- yes and no become 1 and 0; a word becomes one series for each word that it can be, 1 for the one it
-- is; the version becomes major * 1000000 + minor * 1000 + patch. A word not listed here becomes a
-- series of its own, so that nothing is lost. Reads only; what the user needs: docs/monitoring.md.
local words = {
  flash_module_state = {'recovering', 'ready', 'error'},
  flash_io_backend = {'uring', 'threads'},
  flash_wal_base = {'none', 'ok', 'due', 'awaited', 'failed', 'unrecovered'},
}
local flags = {yes = '1', no = '0'}

local pairs_out = {}
local function out(name, number)
  pairs_out[#pairs_out + 1] = name
  pairs_out[#pairs_out + 1] = number
end

local section = server.call('INFO', 'flash')
if type(section) == 'table' then section = section.format or section[1] or '' end
for name, value in string.gmatch(section, '(flash_[%w_]+):([^\r\n]*)') do
  local major, minor, patch = string.match(value, '^(%d+)%.(%d+)%.(%d+)')
  if name == 'flash_version' and major then
    out('flash_version_number', string.format('%d', major * 1000000 + minor * 1000 + patch))
  elseif tonumber(value) then
    out(name, value)
  elseif flags[value] then
    out(name, flags[value])
  else
    local known = false
    for _, word in ipairs(words[name] or {}) do
      known = known or word == value
      out(name .. '_' .. word, word == value and '1' or '0')
    end
    if not known then out(name .. '_' .. string.gsub(value, '[^%w]', '_'), '1') end
  end
end
return pairs_out
