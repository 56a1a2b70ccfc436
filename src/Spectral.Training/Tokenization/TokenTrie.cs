using System.Buffers;
using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Tokenization;

/// <summary>
/// The added tokens as a trie over the UTF-16 units of their texts. One walk finds the longest token at a place,
/// however many there are. Few places have to be tried, because the tokens begin with only a few different characters.
/// </summary>
internal sealed class TokenTrie
{
    private readonly Node _root = new();
    private readonly SearchValues<char> _beginnings;

    /// <summary>
    /// Creates a trie of tokens. If several have the same text the first one counts; those without text are ignored.
    /// </summary>
    public TokenTrie(IEnumerable<(string Text, AddedToken Token)> tokens)
    {
        HashSet<char> first = [];
        foreach ((string text, AddedToken token) in tokens)
        {
            if (text.Length == 0)
                continue;
            first.Add(text[0]);
            _root.Insert(text, token);
        }
        _beginnings = SearchValues.Create([.. first]);
    }

    /// <summary>
    /// Returns the leftmost token that begins at or after a place, and of several the longest; null if there is none.
    /// </summary>
    public (AddedToken Token, int Start, int End)? Next(string text, int from)
    {
        for (int at = from; at < text.Length; at++)
        {
            int distance = text.AsSpan(at).IndexOfAny(_beginnings);
            if (distance < 0)
                break;
            at += distance;
            if (_root.Longest(text, at) is { } found)
                return (found.Token, at, found.End);
        }
        return null;
    }

    // Most nodes have one child and need no dictionary. Otherwise a file with one long token would take hundreds of
    // times its size.
    private sealed class Node
    {
        private Dictionary<char, Node>? _others;
        private Node? _only;
        private char _unit;
        private AddedToken? _token;

        public void Insert(string content, AddedToken added)
        {
            Node node = this;
            foreach (char next in content)
                node = node.Child(next) ?? node.AddChild(next);
            node._token ??= added;
        }

        public (AddedToken Token, int End)? Longest(string text, int start)
        {
            (AddedToken, int)? longest = null;
            Node node = this;
            for (int at = start; at < text.Length && node.Child(text[at]) is { } child; at++)
            {
                node = child;
                if (node._token is { } found)
                    longest = (found, at + 1);
            }
            return longest;
        }

        private Node? Child(char next) => _only is not null && _unit == next ? _only : _others?.GetValueOrDefault(next);

        private Node AddChild(char next)
        {
            Node child = new();
            if (_only is null)
                (_only, _unit) = (child, next);
            else
                (_others ??= []).Add(next, child);
            return child;
        }
    }
}
