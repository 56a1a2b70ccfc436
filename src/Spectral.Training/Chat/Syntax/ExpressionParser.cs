using Spectral.Training.Chat.Library;
using Spectral.Training.Chat.Nodes;
using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Syntax;

/// <summary>Parses expressions, from the operators that bind least to those that bind most.</summary>
internal sealed class ExpressionParser(TokenStream tokens, ParseState state)
{
    private static readonly string[] Comparisons = ["==", "!=", "<", "<=", ">", ">="];

    /// <summary>Parses an expression.</summary>
    /// <param name="withCondition">Whether it may be conditional.</param>
    public Expression Parse(bool withCondition = true)
    {
        int unknown = state.UnknownCount;
        Expression value = ParseOr();
        while (withCondition && tokens.SkipName("if"))
        {
            Expression condition = ParseOr();
            Expression? otherwise = tokens.SkipName("else") ? Parse() : null;
            value = new Conditional(value.Place, condition, value, otherwise);
            state.Forgive(unknown);
        }
        return value;
    }

    /// <summary>Parses one expression, or several with commas as a tuple.</summary>
    /// <param name="withCondition">Whether they may be conditional.</param>
    /// <param name="inParentheses">Whether there may be none.</param>
    /// <param name="end">A keyword that ends the tuple.</param>
    public Expression ParseTuple(bool withCondition = true, bool inParentheses = false, string end = "")
    {
        Place place = tokens.Current.Place;
        List<Expression> items = [];
        bool isTuple = false;
        while (!IsTupleEnd(end))
        {
            items.Add(Parse(withCondition));
            if (!tokens.SkipOperator(","))
                break;
            isTuple = true;
        }
        if (items.Count == 1 && !isTuple)
            return items[0];
        if (items.Count == 0 && !inParentheses)
        {
            throw new SyntaxError(
                tokens.Current.Place,
                $"Expected an expression, got {PythonText.Quote(tokens.Current.Describe())}"
            );
        }
        return new TupleLiteral(place, [.. items]);
    }

    /// <summary>Parses filters with their arguments.</summary>
    /// <param name="value">What is filtered.</param>
    /// <param name="isFirst">Whether the first filter comes without a bar.</param>
    public Expression ParseFilters(Expression value, bool isFirst = false)
    {
        while (isFirst || tokens.SkipOperator("|"))
        {
            isFirst = false;
            Place place = tokens.Current.Place;
            string name = ParseDotted();
            ArgumentList arguments = tokens.IsOperator("(") ? ParseArguments() : ArgumentList.Empty;
            if (Filters.Find(name) is null)
                state.Unknown(place, $"No filter named {PythonText.Quote(name)}.");
            value = new FilterCall(place, value, name, arguments);
        }
        return value;
    }

    /// <summary>Parses what a value can be assigned to.</summary>
    /// <param name="withNamespace">Whether it may be an attribute of a namespace.</param>
    /// <param name="end">A keyword that ends a tuple.</param>
    public Target ParseTarget(bool withNamespace = false, string end = "")
    {
        Place place = tokens.Current.Place;
        List<Target> targets = [];
        bool isTuple = false;
        while (!IsTupleEnd(end))
        {
            targets.Add(ParseSingleTarget(withNamespace));
            if (!tokens.SkipOperator(","))
                break;
            isTuple = true;
        }
        if (targets.Count == 0)
        {
            throw new SyntaxError(place, $"Expected an expression, got {PythonText.Quote(tokens.Current.Describe())}");
        }
        return isTuple ? new TupleTarget(place, [.. targets]) : targets[0];
    }

    private Target ParseSingleTarget(bool withNamespace)
    {
        Token token = tokens.Current;
        if (tokens.SkipOperator("("))
        {
            Target inner = ParseTarget(withNamespace);
            tokens.ExpectOperator(")");
            return inner;
        }
        if (token.Kind != TokenKind.Name || token.Text is "true" or "false" or "True" or "False" or "none" or "None")
            throw new SyntaxError(token.Place, $"can't assign to {PythonText.Quote(token.Describe())}");
        tokens.Next();
        if (!withNamespace || !tokens.SkipOperator("."))
            return new NameTarget(token.Place, token.Text);
        state.Use(token.Text);
        return new NamespaceTarget(token.Place, token.Text, tokens.Expect(TokenKind.Name).Text);
    }

    private bool IsTupleEnd(string end) =>
        tokens.Current.Kind is TokenKind.VariableEnd or TokenKind.BlockEnd
        || tokens.IsOperator(")")
        || (end.Length > 0 && tokens.IsName(end));

    private Expression ParseOr()
    {
        Expression left = ParseAnd();
        while (tokens.SkipName("or"))
            left = new Or(left.Place, left, ParseAnd());
        return left;
    }

    private Expression ParseAnd()
    {
        Expression left = ParseNot();
        while (tokens.SkipName("and"))
            left = new And(left.Place, left, ParseNot());
        return left;
    }

    private Expression ParseNot()
    {
        Place place = tokens.Current.Place;
        Budget.RequireStack();
        return tokens.SkipName("not") ? new Not(place, ParseNot()) : ParseComparison();
    }

    private Expression ParseComparison()
    {
        Expression first = ParseSum();
        List<KeyValuePair<string, Expression>> others = [];
        Place place = tokens.Current.Place;
        while (ComparisonSign() is { } sign)
            others.Add(new(sign, ParseSum()));
        return others.Count > 0 ? new Comparison(place, first, [.. others]) : first;
    }

    private string? ComparisonSign()
    {
        if (tokens.Current.Kind == TokenKind.Operator && Comparisons.Contains(tokens.Current.Text))
            return tokens.Next().Text;
        if (tokens.SkipName("in"))
            return "in";
        if (!tokens.IsName("not") || tokens.Following is not { Kind: TokenKind.Name, Text: "in" })
            return null;
        tokens.Next();
        tokens.Next();
        return "not in";
    }

    private Expression ParseSum()
    {
        Expression left = ParseConcatenation();
        while (tokens.IsOperator("+") || tokens.IsOperator("-"))
        {
            Token sign = tokens.Next();
            left = new Operation(sign.Place, sign.Text, left, ParseConcatenation());
        }
        return left;
    }

    private Expression ParseConcatenation()
    {
        Expression first = ParseProduct();
        if (!tokens.IsOperator("~"))
            return first;
        Place place = tokens.Current.Place;
        List<Expression> parts = [first];
        while (tokens.SkipOperator("~"))
            parts.Add(ParseProduct());
        return new Concatenation(place, [.. parts]);
    }

    private Expression ParseProduct()
    {
        Expression left = ParsePower();
        while (tokens.Current is { Kind: TokenKind.Operator, Text: "*" or "/" or "//" or "%" })
        {
            Token sign = tokens.Next();
            left = new Operation(sign.Place, sign.Text, left, ParsePower());
        }
        return left;
    }

    // As in Jinja, and unlike in Python, powers are grouped from the left.
    private Expression ParsePower()
    {
        Expression left = ParseUnary(withFilters: true);
        while (tokens.IsOperator("**"))
        {
            Token sign = tokens.Next();
            left = new Operation(sign.Place, sign.Text, left, ParseUnary(withFilters: true));
        }
        return left;
    }

    private Expression ParseUnary(bool withFilters)
    {
        Budget.RequireStack();
        Token token = tokens.Current;
        bool isNegative = tokens.SkipOperator("-");
        Expression value =
            isNegative || tokens.SkipOperator("+")
                ? new Sign(token.Place, isNegative, ParseUnary(withFilters: false))
                : ParsePrimary();
        value = ParsePostfix(value);
        return withFilters ? ParseFilterExpression(value) : value;
    }

    private Expression ParsePrimary()
    {
        Token token = tokens.Current;
        switch (token)
        {
            case { Kind: TokenKind.Name }:
                tokens.Next();
                return ParseName(token);
            case { Kind: TokenKind.Text }:
                string text = "";
                while (tokens.Current.Kind == TokenKind.Text)
                    text += (string)tokens.Next().Value!;
                return new Constant(token.Place, text);
            case { Kind: TokenKind.Integer or TokenKind.Float }:
                tokens.Next();
                return new Constant(token.Place, token.Value);
            case { Kind: TokenKind.Operator, Text: "(" }:
                tokens.Next();
                Expression inner = ParseTuple(inParentheses: true);
                tokens.ExpectOperator(")");
                return inner;
            case { Kind: TokenKind.Operator, Text: "[" }:
                return ParseList();
            case { Kind: TokenKind.Operator, Text: "{" }:
                return ParseDictionary();
            default:
                throw new SyntaxError(token.Place, $"unexpected {PythonText.Quote(token.Describe())}");
        }
    }

    private Expression ParseName(Token token)
    {
        switch (token.Text)
        {
            case "true" or "True":
                return new Constant(token.Place, true);
            case "false" or "False":
                return new Constant(token.Place, false);
            case "none" or "None":
                return new Constant(token.Place, null);
            default:
                state.Use(token.Text);
                return new Name(token.Place, token.Text);
        }
    }

    private Expression ParseList()
    {
        Place place = tokens.ExpectOperator("[").Place;
        List<Expression> items = [];
        while (!tokens.IsOperator("]"))
        {
            if (items.Count > 0)
                tokens.ExpectOperator(",");
            if (!tokens.IsOperator("]"))
                items.Add(Parse());
        }
        tokens.Next();
        return new ListLiteral(place, [.. items]);
    }

    private Expression ParseDictionary()
    {
        Place place = tokens.ExpectOperator("{").Place;
        List<KeyValuePair<Expression, Expression>> entries = [];
        while (!tokens.IsOperator("}"))
        {
            if (entries.Count > 0)
                tokens.ExpectOperator(",");
            if (tokens.IsOperator("}"))
                break;
            Expression key = Parse();
            tokens.ExpectOperator(":");
            entries.Add(new(key, Parse()));
        }
        tokens.Next();
        return new DictionaryLiteral(place, [.. entries]);
    }

    private Expression ParsePostfix(Expression value)
    {
        while (true)
        {
            if (tokens.IsOperator("."))
                value = ParseAttribute(value);
            else if (tokens.IsOperator("["))
                value = ParseSubscript(value);
            else if (tokens.IsOperator("("))
                value = new Call(tokens.Current.Place, value, ParseArguments());
            else
                return value;
        }
    }

    private Expression ParseFilterExpression(Expression value)
    {
        while (true)
        {
            if (tokens.IsOperator("|"))
                value = ParseFilters(value);
            else if (tokens.IsName("is"))
                value = ParseTest(value);
            else if (tokens.IsOperator("("))
                value = new Call(tokens.Current.Place, value, ParseArguments());
            else
                return value;
        }
    }

    private Expression ParseAttribute(Expression owner)
    {
        Place place = tokens.Next().Place;
        Token name = tokens.Next();
        return name.Kind switch
        {
            TokenKind.Name => new AttributeAccess(place, owner, name.Text),
            TokenKind.Integer => new ItemAccess(place, owner, new Constant(name.Place, name.Value)),
            _ => throw new SyntaxError(name.Place, "expected name or number"),
        };
    }

    private Expression ParseSubscript(Expression owner)
    {
        Place place = tokens.Next().Place;
        Expression? start = tokens.IsOperator(":") ? null : ParseSubscriptKey(place);
        if (!tokens.SkipOperator(":"))
        {
            tokens.ExpectOperator("]");
            return new ItemAccess(place, owner, start!);
        }
        Expression? stop = IsBoundEnd() ? null : Parse();
        Expression? step = tokens.SkipOperator(":") && !IsBoundEnd() ? Parse() : null;
        tokens.ExpectOperator("]");
        return new SliceAccess(place, owner, start, stop, step);
    }

    // Several keys with commas are a tuple, and so is none.
    private Expression ParseSubscriptKey(Place place)
    {
        List<Expression> keys = [];
        while (!tokens.IsOperator("]"))
        {
            if (keys.Count > 0)
                tokens.ExpectOperator(",");
            keys.Add(Parse());
            if (tokens.IsOperator(":"))
                break;
        }
        return keys.Count == 1 ? keys[0] : new TupleLiteral(place, [.. keys]);
    }

    private bool IsBoundEnd() => tokens.IsOperator(":") || tokens.IsOperator("]");

    private Expression ParseTest(Expression value)
    {
        Place place = tokens.Next().Place;
        bool isNegated = tokens.SkipName("not");
        string name = ParseDotted();
        ArgumentList arguments = ArgumentList.Empty;
        if (tokens.IsOperator("("))
        {
            arguments = ParseArguments();
        }
        else if (BeginsArgument())
        {
            if (tokens.IsName("is"))
                throw new SyntaxError(tokens.Current.Place, "You cannot chain multiple tests with is");
            arguments = arguments with { Positional = [ParsePostfix(ParsePrimary())] };
        }
        if (Tests.Find(name) is null)
            state.Unknown(place, $"No test named {PythonText.Quote(name)}.");
        Expression test = new TestCall(place, value, name, arguments);
        return isNegated ? new Not(place, test) : test;
    }

    private bool BeginsArgument() =>
        tokens.Current.Kind is TokenKind.Text or TokenKind.Integer or TokenKind.Float
        || tokens.IsOperator("[")
        || tokens.IsOperator("{")
        || (tokens.Current.Kind == TokenKind.Name && tokens.Current.Text is not ("else" or "or" or "and"));

    private string ParseDotted()
    {
        string name = tokens.Expect(TokenKind.Name).Text;
        while (tokens.SkipOperator("."))
            name += "." + tokens.Expect(TokenKind.Name).Text;
        return name;
    }

    private ArgumentList ParseArguments()
    {
        Place place = tokens.ExpectOperator("(").Place;
        List<Expression> positional = [];
        List<KeyValuePair<string, Expression>> named = [];
        Expression? rest = null;
        Expression? namedRest = null;
        bool isFirst = true;
        while (!tokens.IsOperator(")"))
        {
            if (!isFirst)
                tokens.ExpectOperator(",");
            isFirst = false;
            if (tokens.IsOperator(")"))
                break;
            if (tokens.SkipOperator("*"))
            {
                Require(rest is null && namedRest is null, place);
                rest = Parse();
            }
            else if (tokens.SkipOperator("**"))
            {
                Require(namedRest is null, place);
                namedRest = Parse();
            }
            else if (
                tokens.Current.Kind == TokenKind.Name
                && tokens.Following is { Kind: TokenKind.Operator, Text: "=" }
            )
            {
                Require(namedRest is null, place);
                string name = tokens.Next().Text;
                tokens.Next();
                named.Add(new(name, Parse()));
            }
            else
            {
                Require(rest is null && namedRest is null && named.Count == 0, place);
                positional.Add(Parse());
            }
        }
        tokens.Next();
        return new ArgumentList([.. positional], [.. named], rest, namedRest);
    }

    private static void Require(bool holds, Place place)
    {
        if (!holds)
            throw new SyntaxError(place, "invalid syntax for function call expression");
    }
}
