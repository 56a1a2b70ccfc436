namespace Spectral.Training.Adapters.Expressions;

/// <summary>All expressions behind some outputs, in order of computation.</summary>
internal sealed class ExpressionGraph
{
    private readonly List<Expression> _order = [];
    private readonly long _kept;

    /// <summary>Collects the expressions that the outputs depend on.</summary>
    /// <param name="outputs">The expressions to compute.</param>
    /// <param name="kept">
    /// The number of elements up to which a value is kept between forward and backward. Larger ones, such as whole
    /// weights, are recomputed where backward reads them: keeping them would take the memory of a second model.
    /// </param>
    public ExpressionGraph(IEnumerable<Expression> outputs, long kept)
    {
        _kept = kept;
        var seen = new HashSet<Expression>();
        foreach (Expression output in outputs)
            Visit(output);

        void Visit(Expression expression)
        {
            if (!seen.Add(expression))
                return;
            foreach (Expression input in expression.Inputs)
                Visit(input);
            _order.Add(expression);
        }
    }

    /// <summary>
    /// Marks values that depend on trainable factors, or all values, for recomputation after factors have changed.
    /// </summary>
    public void Renew(bool all = false)
    {
        foreach (Expression expression in _order)
        {
            if (all || expression.Varies)
                expression.Renew();
        }
    }

    /// <summary>Passes the gradients of the outputs, already in their buffers, on to the factors.</summary>
    public void Backward()
    {
        for (int i = _order.Count - 1; i >= 0; i--)
            _order[i].Propagate();
        Trim();
    }

    /// <summary>Disposes values that are too large to keep.</summary>
    public void Trim()
    {
        foreach (Expression expression in _order)
        {
            if (expression.Shape.Count > _kept)
                expression.Forget();
        }
    }

    /// <summary>Disposes all values and returns shared tables.</summary>
    public void Clear()
    {
        foreach (Expression expression in _order)
            expression.Release();
    }
}
