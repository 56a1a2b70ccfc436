using Spectral.Training.Chat.Nodes;
using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Syntax;

/// <summary>Parses a template into statements.</summary>
internal sealed class StatementParser
{
    private readonly TokenStream _tokens;
    private readonly ParseState _state = new();
    private readonly ExpressionParser _expressions;
    private readonly Stack<(string Tag, string[] Ends)> _open = new();
    private int _loops;

    private StatementParser(List<Token> tokens)
    {
        _tokens = new TokenStream(tokens);
        _expressions = new ExpressionParser(_tokens, _state);
    }

    /// <summary>Parses a template.</summary>
    /// <exception cref="SyntaxError">It is not a template.</exception>
    public static Statement[] Parse(string source)
    {
        StatementParser parser = new(Lexer.Tokens(source));
        Statement[] body = parser.ParseBody([]);
        parser._state.ThrowUnknown();
        return body;
    }

    // Returns the statements up to one of the end tags, which is the next token then.
    private Statement[] ParseBody(string[] ends)
    {
        Budget.RequireStack();
        List<Statement> body = [];
        while (!_tokens.IsAtEnd)
        {
            Token token = _tokens.Next();
            if (token.Kind == TokenKind.Data)
            {
                body.Add(new TextOutput(token.Text));
            }
            else if (token.Kind == TokenKind.VariableBegin)
            {
                body.Add(new ValueOutput(_expressions.ParseTuple()));
                _tokens.Expect(TokenKind.VariableEnd);
            }
            else
            {
                if (_tokens.Current.Kind == TokenKind.Name && ends.Contains(_tokens.Current.Text))
                    return [.. body];
                body.AddRange(ParseStatement());
                _tokens.Expect(TokenKind.BlockEnd);
            }
        }
        return ends.Length == 0 ? [.. body] : throw Unfinished(null, _tokens.Current.Place);
    }

    // Parses the body of a tag, from the end of its beginning to the name in one of its end tags, which is returned.
    private Statement[] ParseBlock(string tag, out string end, params string[] ends)
    {
        _tokens.SkipOperator(":");
        _tokens.Expect(TokenKind.BlockEnd);
        _open.Push((tag, ends));
        Statement[] body = ParseBody(ends);
        _open.Pop();
        end = _tokens.Next().Text;
        return body;
    }

    private Statement[] ParseStatement()
    {
        Token tag = _tokens.Current;
        if (tag.Kind != TokenKind.Name)
            throw new SyntaxError(tag.Place, "tag name expected");
        _tokens.Next();
        switch (tag.Text)
        {
            case "for":
                return [ParseFor(tag.Place)];
            case "if":
                return [ParseIf()];
            case "set":
                return [ParseSet(tag.Place)];
            case "print":
                return ParsePrint();
            case "macro":
                return [ParseMacro()];
            case "call":
                return [ParseCall(tag.Place)];
            case "filter":
                Expression filter = _expressions.ParseFilters(new BlockText(tag.Place), isFirst: true);
                return [new FilterBlock(filter, ParseScope("filter"))];
            case "with":
                return [ParseWith()];
            case "generation":
                return [new GenerationBlock(ParseScope("generation"))];
            case "autoescape":
                return [ParseAutoescape(tag.Place)];
            case "block":
                return [ParseNamedBlock()];
            case "break" or "continue":
                return [ParseJump(tag)];
            case "extends" or "include" or "import" or "from":
                while (_tokens.Current.Kind is not (TokenKind.BlockEnd or TokenKind.End))
                    _tokens.Next();
                return [new OtherTemplate(tag.Place, tag.Text)];
            default:
                throw Unfinished(tag.Text, tag.Place);
        }
    }

    private Statement ParseFor(Place place)
    {
        Target target = _expressions.ParseTarget(end: "in");
        _tokens.ExpectName("in");
        Expression iterable = _expressions.ParseTuple(withCondition: false, end: "recursive");
        Expression? condition = _tokens.SkipName("if") ? _expressions.Parse() : null;
        bool isRecursive = _tokens.SkipName("recursive");
        int unknown = _state.UnknownCount;
        _loops++;
        Statement[] body = ParseBlock("for", out string end, "endfor", "else");
        _loops--;
        Statement[] otherwise = end == "else" ? ParseBlock("for", out _, "endfor") : [];
        _state.Confirm(unknown);
        return new For(place, target, iterable, condition, isRecursive, body, otherwise);
    }

    private Statement ParseIf()
    {
        int unknown = _state.UnknownCount;
        List<KeyValuePair<Expression, Statement[]>> branches = [];
        string end = "elif";
        while (end == "elif")
        {
            Expression condition = _expressions.ParseTuple(withCondition: false);
            branches.Add(new(condition, ParseBlock("if", out end, "elif", "else", "endif")));
        }
        Statement[] otherwise = end == "else" ? ParseBlock("if", out _, "endif") : [];
        _state.Forgive(unknown);
        return new If([.. branches], otherwise);
    }

    private Statement ParseSet(Place place)
    {
        Target target = _expressions.ParseTarget(withNamespace: true);
        if (_tokens.SkipOperator("="))
            return new Assignment(target, _expressions.ParseTuple());
        Expression? filter = _tokens.IsOperator("|") ? _expressions.ParseFilters(new BlockText(place)) : null;
        return new BlockAssignment(target, filter, ParseScope("set"));
    }

    private Statement[] ParsePrint()
    {
        List<Statement> outputs = [];
        while (_tokens.Current.Kind != TokenKind.BlockEnd)
        {
            if (outputs.Count > 0)
                _tokens.ExpectOperator(",");
            outputs.Add(new ValueOutput(_expressions.Parse()));
        }
        return [.. outputs];
    }

    // Parses the body of a tag that has a scope of its own.
    private Statement[] ParseScope(string tag)
    {
        int unknown = _state.UnknownCount;
        (int loops, _loops) = (_loops, 0);
        Statement[] body = ParseBlock(tag, out _, "end" + tag);
        _loops = loops;
        _state.Confirm(unknown);
        return body;
    }

    private Statement ParseMacro()
    {
        string name = _tokens.Expect(TokenKind.Name).Text;
        List<string> parameters = [];
        List<Expression> defaults = [];
        ParseSignature(parameters, defaults);
        return new MacroStatement(ParseMacroBody(name, "macro", parameters, defaults));
    }

    private MacroDefinition ParseMacroBody(string name, string tag, List<string> parameters, List<Expression> defaults)
    {
        _state.BeginMacro();
        Statement[] body = ParseScope(tag);
        HashSet<string> uses = _state.EndMacro();
        return new MacroDefinition(
            name,
            [.. parameters],
            [.. defaults],
            body,
            uses.Contains("caller"),
            uses.Contains("kwargs"),
            uses.Contains("varargs")
        );
    }

    private void ParseSignature(List<string> parameters, List<Expression> defaults)
    {
        _tokens.ExpectOperator("(");
        while (!_tokens.IsOperator(")"))
        {
            if (parameters.Count > 0)
                _tokens.ExpectOperator(",");
            Token parameter = _tokens.Expect(TokenKind.Name);
            if (_tokens.SkipOperator("="))
                defaults.Add(_expressions.Parse());
            else if (defaults.Count > 0)
                throw new SyntaxError(parameter.Place, "non-default argument follows default argument");
            parameters.Add(parameter.Text);
        }
        _tokens.Next();
    }

    private Statement ParseCall(Place place)
    {
        List<string> parameters = [];
        List<Expression> defaults = [];
        if (_tokens.IsOperator("("))
            ParseSignature(parameters, defaults);
        if (_expressions.Parse() is not Call call)
            throw new SyntaxError(place, "expected call");
        return new CallBlock(call, ParseMacroBody("caller", "call", parameters, defaults));
    }

    private Statement ParseWith()
    {
        List<KeyValuePair<Target, Expression>> values = [];
        while (_tokens.Current.Kind != TokenKind.BlockEnd)
        {
            if (values.Count > 0)
                _tokens.ExpectOperator(",");
            Token name = _tokens.Expect(TokenKind.Name);
            _tokens.ExpectOperator("=");
            values.Add(new(new NameTarget(name.Place, name.Text), _expressions.Parse()));
        }
        int unknown = _state.UnknownCount;
        Statement[] body = ParseBlock("with", out _, "endwith");
        _state.Confirm(unknown);
        return new With([.. values], body);
    }

    private Statement ParseAutoescape(Place place)
    {
        // HTML is no concern of chat templates: transformers leaves escaping off.
        if (!_tokens.SkipName("false") && !_tokens.SkipName("False"))
            throw new SyntaxError(place, "autoescape is not supported, expected false");
        return new ScopeBlock(ParseBlock("autoescape", out _, "endautoescape"));
    }

    private Statement ParseNamedBlock()
    {
        string name = _tokens.Expect(TokenKind.Name).Text;
        _tokens.SkipName("scoped");
        _tokens.SkipName("required");
        Statement[] body = ParseScope("block");
        _tokens.SkipName(name);
        return new ScopeBlock(body);
    }

    private Statement ParseJump(Token tag) =>
        _loops > 0
            ? new Jump(tag.Text == "break" ? Flow.Break : Flow.Continue)
            : throw new SyntaxError(tag.Place, $"'{tag.Text}' outside of a loop");

    private SyntaxError Unfinished(string? tag, Place place)
    {
        string message = tag is null ? "Unexpected end of template." : $"Encountered unknown tag '{tag}'.";
        if (!_open.TryPeek(out (string Tag, string[] Ends) open))
            return new SyntaxError(place, message);
        string ends = string.Join(" or ", open.Ends.Select(end => $"'{end}'"));
        message +=
            tag is not null && _open.Any(outer => outer.Ends.Contains(tag))
                ? " You probably made a nesting mistake. Jinja is expecting this tag, but currently looking for " + ends
                : " Jinja was looking for the following tags: " + ends;
        return new SyntaxError(place, $"{message}. The innermost block that needs to be closed is '{open.Tag}'.");
    }
}
