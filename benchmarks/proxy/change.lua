-- What `cases.change` does, for nginx and Envoy: the label becomes the next class, the scores of both are swapped.
local cjson = require "cjson"
-- cjson writes 14 significant digits at most: scores lose their last two, which nobody else here does.

local change = {}

function change.selected(id, share)
  return share >= 1 or (share > 0 and id ~= nil and tonumber(string.sub(id, -4), 16) < 0x199A)
end

function change.body(text, times)
  local good, whole = pcall(cjson.decode, text)
  if not good then
    return text
  end
  local labels, scores, classes
  for _, output in ipairs(whole.outputs) do
    if output.name == "predict" then
      labels = output.data
    elseif output.name == "predict_proba" then
      scores, classes = output.data, output.shape[2]
    end
  end
  for _ = 1, times do
    for row, found in ipairs(labels) do
      local given = (found + 1) % classes
      local one, other = (row - 1) * classes + found + 1, (row - 1) * classes + given + 1
      labels[row] = given
      scores[one], scores[other] = scores[other], scores[one]
    end
  end
  return cjson.encode(whole)
end

return change
