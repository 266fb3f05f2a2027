name = '{{ fileBasenameNoExtension }}'
whole = '{{fileBasename}}|{{ fileExtname }}'
number = {{'$LOOPWRIGHT_TEST_UNSET:80'}}
words = '{{$LOOPWRIGHT_TEST_UNSET:some/where}}/x'
kept = '{{$LOOPWRIGHT_TEST_UNSET}}'
